mod behaviour;
pub(crate) mod facts;
mod found;
