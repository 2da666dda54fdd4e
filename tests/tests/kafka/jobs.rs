//! Jobs are independent: one that is slow and one that fails delay no other.
