//! The secrets that jobs may use, each under the name that the configuration gives it.
//!
//! A catalog knows names alone, and only the operator says what they stand for. A secret is read when it is used, so that one
//! that is changed counts without a restart: a file is looked at once a second.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use runtime::config::{Secret, SecretPlace};

/// For how long a file is not looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// The largest file that is taken for a secret.
const MAX: u64 = 64 * 1024;

/// What identifies a file's content, as far as one can tell from outside: when it was written, its size, its number.
pub(crate) type Stamp = (i64, i64, u64, u64);

/// The stamp of a file; none if it is not there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let found = path.metadata().ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

/// Why a secret cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("`job-runner.secrets` has no `{0}`; give it there, as {{ env = \"NAME\" }} or {{ file = \"path\" }}")]
    Unknown(String),
    #[error("the secret `{name}` is not there: {why}")]
    Absent { name: String, why: String },
}

/// The secrets of a process.
#[derive(Default)]
pub(crate) struct Secrets {
    places: BTreeMap<String, SecretPlace>,
    read: Mutex<BTreeMap<String, Read>>,
}

/// One as it was read.
struct Read {
    secret: Arc<Secret>,
    stamp: Option<Stamp>,
    looked: Instant,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places.keys()).finish()
    }
}

impl Secrets {
    /// Secrets by their names.
    pub(crate) fn new(places: &BTreeMap<String, SecretPlace>) -> Self {
        Self { places: places.clone(), read: Mutex::default() }
    }

    /// Whether there is to be one of that name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The secret of that name. It is the same one until it has changed.
    pub(crate) async fn get(self: &Arc<Self>, name: &str) -> Result<Arc<Secret>, SecretError> {
        let Some(place) = self.places.get(name) else { return Err(SecretError::Unknown(name.to_owned())) };
        if let Some(known) = self.known(name, |read| read.stamp.is_none() || read.looked.elapsed() < AGAIN) {
            return Ok(known);
        }
        let (this, place, known) = (self.clone(), place.clone(), name.to_owned());
        // A disk may be slow.
        let looked = tokio::task::spawn_blocking(move || this.look(&known, &place)).await;
        looked
            .map_err(|error| error.to_string())
            .flatten()
            .map_err(|why| SecretError::Absent { name: name.to_owned(), why })
    }

    fn known(&self, name: &str, is_fresh: impl Fn(&Read) -> bool) -> Option<Arc<Secret>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(name).filter(|read| is_fresh(read)).map(|read| read.secret.clone())
    }

    fn look(&self, name: &str, place: &SecretPlace) -> Result<Arc<Secret>, String> {
        let now = match place {
            SecretPlace::Env(_) => None,
            SecretPlace::File(path) => Some(checked(path).map_err(|error| format!("{place}: {error}"))?),
        };
        let secret = match self.known(name, |read| now.is_some() && read.stamp == now) {
            Some(same) => same,
            None => Arc::new(place.read()?),
        };
        let read = Read { secret: secret.clone(), stamp: now, looked: Instant::now() };
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), read);
        Ok(secret)
    }
}

/// The stamp of a file that can be a secret: no pipe, which would be waited for, and nothing huge.
fn checked(path: &Path) -> std::io::Result<Stamp> {
    let found = fs::metadata(path)?;
    match (found.is_file(), found.len()) {
        (false, _) => Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file")),
        (true, MAX..) => Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is too large for a secret")),
        _ => stamp(path).ok_or_else(|| ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_read_anew_when_its_file_has_changed_and_missed_when_it_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        let places = [
            ("file".to_owned(), SecretPlace::File(file.clone())),
            ("folder".to_owned(), SecretPlace::File(folder.path().to_owned())),
            ("env".to_owned(), SecretPlace::Env("PATH".to_owned())),
        ];
        let secrets = Arc::new(Secrets::new(&places.into()));
        let again = |name: &str| {
            // As if the second had passed.
            let mut read = secrets.read.lock().expect("a lock");
            if let Some(read) = read.get_mut(name) {
                read.looked -= AGAIN;
            }
        };
        let error = secrets.get("file").await.expect_err("no file").to_string();
        assert!(error.starts_with("the secret `file` is not there: the file `"), "{error}");
        fs::write(&file, "\u{feff}one\n").expect("written");
        let one = secrets.get("file").await.expect("a secret");
        assert_eq!(one.expose(), "one");
        again("file");
        assert!(Arc::ptr_eq(&one, &secrets.get("file").await.expect("a secret")), "it is the same until it changes");
        fs::write(&file, "another").expect("written");
        assert_eq!(secrets.get("file").await.expect("a secret").expose(), "one", "it is looked at once a second");
        again("file");
        assert_eq!(secrets.get("file").await.expect("a secret").expose(), "another");
        fs::remove_file(&file).expect("removed");
        again("file");
        assert!(secrets.get("file").await.is_err());
        assert_eq!(
            secrets.get("env").await.map(|secret| secret.expose().to_owned()),
            Ok(std::env::var("PATH").expect("set"))
        );
        assert!(secrets.get("folder").await.expect_err("a folder").to_string().contains("no regular file"));
        assert_eq!(secrets.get("x").await.map(|_| ()), Err(SecretError::Unknown("x".to_owned())));
        assert!(!format!("{secrets:?}").contains("another"));
    }
}
