//! Stands for `role` in a build without Kafka, which every role needs.

pub(crate) use tools::kafka::refusal as instead_of_dev;

pub(crate) mod ingest {
    pub(crate) use tools::kafka::{Options, refuse as run};
}

pub(crate) mod detector {
    pub(crate) use tools::kafka::{Options, refuse as run};
}

pub(crate) mod job_runner {
    pub(crate) use tools::kafka::{Options, refuse as run};
}

pub(crate) mod results {
    pub(crate) use tools::kafka::{Options, refuse as run};
}
