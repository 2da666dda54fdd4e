mod behaviour;
pub(crate) mod facts;
