mod behaviour;
mod bench;
pub(crate) mod facts;
