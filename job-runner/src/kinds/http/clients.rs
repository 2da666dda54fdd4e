//! The clients, and with them the connections that are kept: one for each set of rules by which connections are made, so that
//! jobs with the same rules share them, and none gets one that was made by another's.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use runtime::config::Secret;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{
    names::{Lookup, Names},
    options::Profile,
};
use crate::{
    kind::Failure,
    secrets::{Secrets, Stamp, stamp},
};

/// How long it may take to connect.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses: less than the five seconds after which many a server closes it.
const IDLE: Duration = Duration::from_secs(4);
/// How many of those are kept for each host.
const IDLE_PER_HOST: usize = 128;
/// How often a connection of HTTP/2 in use is asked whether it is alive, and how long that may take.
const ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// For how long the files of a client are not looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many clients there may be. Each is made from a catalog, so that there are few.
const MOST: usize = 1000;
/// The largest file of certificates.
const MAX_PEM: u64 = 4 * 1024 * 1024;

/// Makes requests over kept connections.
pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>;

/// The clients that have been needed.
pub(super) struct Clients(Arc<Shared>);

struct Shared {
    /// What paths are relative to.
    folder: PathBuf,
    lookup: Arc<Lookup>,
    made: Mutex<HashMap<Profile, Made>>,
    /// The authorities that this machine trusts.
    system: OnceLock<Arc<RootCertStore>>,
}

struct Made {
    client: Client,
    key: Option<Arc<Secret>>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

impl Clients {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Arc::new(Shared {
            folder: folder.to_owned(),
            lookup: Arc::default(),
            made: Mutex::default(),
            system: OnceLock::new(),
        }))
    }

    /// The client for connections of that kind; another one once its files or its key have changed.
    pub(super) async fn get(&self, profile: &Profile, secrets: &Arc<Secrets>) -> Result<Client, Failure> {
        let key = match &profile.identity {
            Some((_, key)) => Some(secrets.get(key).await.map_err(|error| Failure::new(error.to_string()))?),
            None => None,
        };
        let is_fresh = |made: &Made| made.stamps.is_empty() || made.looked.elapsed() < AGAIN;
        if let Some(client) = self.0.known(profile, key.as_ref(), is_fresh) {
            return Ok(client);
        }
        let (shared, profile) = (self.0.clone(), profile.clone());
        // A disk may be slow.
        let made = tokio::task::spawn_blocking(move || shared.look(&profile, key)).await;
        made.map_err(|error| error.to_string()).flatten().map_err(Failure::new)
    }
}

impl Shared {
    fn known(&self, profile: &Profile, key: Option<&Arc<Secret>>, is_it: impl Fn(&Made) -> bool) -> Option<Client> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let same_key = |made: &Made| made.key.as_ref().map(Arc::as_ptr) == key.map(Arc::as_ptr);
        made.get(profile).filter(|made| same_key(made) && is_it(made)).map(|made| made.client.clone())
    }

    fn look(&self, profile: &Profile, key: Option<Arc<Secret>>) -> Result<Client, String> {
        let stamps = self.files(profile).map(|path| stamp(&path)).collect::<Vec<_>>();
        let client = match self.known(profile, key.as_ref(), |made| made.stamps == stamps) {
            Some(same) => same,
            None => self.make(profile, key.as_deref())?,
        };
        let made = Made { client: client.clone(), key, stamps, looked: Instant::now() };
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(profile.clone(), made);
        Ok(client)
    }

    fn files(&self, profile: &Profile) -> impl Iterator<Item = PathBuf> {
        let cert = profile.identity.as_ref().map(|(cert, _)| cert);
        profile.ca.iter().chain(cert).map(|path| self.folder.join(path))
    }

    fn make(&self, profile: &Profile, key: Option<&Secret>) -> Result<Client, String> {
        let names = Names { lookup: self.lookup.clone(), guard: profile.guard.clone() };
        let mut tcp = HttpConnector::new_with_resolver(names);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = self.tls(profile, key)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        client.pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_PER_HOST);
        client.http2_keep_alive_interval(Some(ALIVE.0)).http2_keep_alive_timeout(ALIVE.1);
        Ok(client.build(connector.wrap_connector(tcp)))
    }

    fn tls(&self, profile: &Profile, key: Option<&Secret>) -> Result<ClientConfig, String> {
        let roots = match &profile.ca {
            Some(path) => Arc::new(authorities(&self.folder.join(path))?),
            None => self.system.get_or_init(system).clone(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let Some(((path, name), key)) = profile.identity.as_ref().zip(key) else {
            return Ok(config.with_no_client_auth());
        };
        let path = self.folder.join(path);
        let chain = certificates(&path)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|_| format!("the secret `{name}` is no private key in PEM"))?;
        config
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("the certificate {} and the secret `{name}` do not fit: {error}", path.display()))
    }
}

/// The authorities that this machine trusts. There may be none, where whoever wants TLS must name theirs.
fn system() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 || !found.errors.is_empty() {
        tracing::debug!(unusable, errors = ?found.errors, "some of this machine's certificate authorities cannot be read");
    }
    if roots.is_empty() {
        tracing::warn!(
            "this machine has no certificate authorities, so that no job can call https:// without a `tls.ca`; install \
             the package ca-certificates"
        );
    }
    Arc::new(roots)
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: String| format!("the certificates in {}: {error}", path.display());
    let found = path.metadata().map_err(|error| wrong(error.to_string()))?;
    if !found.is_file() || found.len() > MAX_PEM {
        return Err(wrong("it is no regular file of at most 4 MiB".to_owned()));
    }
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(wrong("there is none; they are in PEM, -----BEGIN CERTIFICATE-----".to_owned()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(error.to_string())),
    }
}
