//! Configuration in layers: the commented default file *is* the defaults; then a file, the environment, and flags.
//!
//! Keys are kebab-case, unknown ones are refused, durations and sizes carry units, and an error names the key, where it was
//! set, and what to write instead. Everything is checked here, before anything is dialled. A value is never part of an
//! error when its key could hold a secret.

mod address;
mod error;
mod layer;
mod layers;
mod lines;
mod places;
mod secret;
mod units;

pub use address::{NoAddress, address, deserialize_address, deserialize_optional_address};
pub use error::ConfigError;
pub use layers::{ENV_PREFIX, Layers, load, secret_variables};
pub use places::Places;
pub use secret::{Auth, Secret, SecretPlace, Secrets};
pub use units::{Duration, NoSize, Size};
