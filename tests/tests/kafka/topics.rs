//! A topic that is deleted under us.
