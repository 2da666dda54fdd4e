//! From a host's name to its addresses, without a thread that waits: a name server that is silent holds up the calls to its own
//! names and nothing else.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    TokioResolver,
    config::LookupIpStrategy,
    proto::rr::{IntoName, Name},
};
use hyper_util::client::legacy::connect::dns;
use tower::Service;

use super::guard::{Guard, Refused};

/// What says where names are looked up; read again when it changes.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// How long a name is taken to have no address.
const NONE_FOR: Duration = Duration::from_secs(5);

/// Why a host cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    #[error("its name has no address")]
    None,
    #[error("its name cannot be looked up: {0}")]
    Server(String),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// When each of the files was written.
type Stamp = [Option<SystemTime>; FILES.len()];

/// The lookup of names, which remembers for as long as each may be.
#[derive(Default)]
pub(super) struct Lookup(Mutex<Option<(Stamp, TokioResolver)>>);

impl Lookup {
    /// The addresses of a host.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        let resolver = self.resolver().map_err(NameError::Server)?;
        let name = Name::from_ascii(host).and_then(IntoName::into_name).map_err(|_| NameError::None)?;
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Err(NameError::None),
            Err(error) => Err(NameError::Server(error.to_string())),
        }
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let stamp = FILES.map(|file| Path::new(file).metadata().and_then(|found| found.modified()).ok());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, resolver)) = known.as_ref().filter(|(then, _)| *then == stamp) {
            return Ok(resolver.clone());
        }
        let wrong = |error| format!("{}: {error}", FILES[0]);
        let mut builder = TokioResolver::builder_tokio().map_err(wrong)?;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.negative_max_ttl = Some(NONE_FOR);
        let resolver = builder.build().map_err(wrong)?;
        *known = Some((stamp, resolver.clone()));
        Ok(resolver)
    }
}

/// The names of one client, whose addresses its guard must let through. What it gives is what is connected to.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) lookup: Arc<Lookup>,
    pub(super) guard: Option<Guard>,
}

impl Names {
    async fn addresses(self, host: String) -> Result<std::vec::IntoIter<SocketAddr>, NameError> {
        let mut found = self.lookup.addresses(&host).await?;
        if let Some(guard) = &self.guard {
            let mut refused = None;
            found.retain(|address| guard.check(&host, *address).map_err(|error| refused = Some(error)).is_ok());
            if let Some(refused) = refused.filter(|_| found.is_empty()) {
                return Err(refused.into());
            }
        }
        if found.is_empty() {
            return Err(NameError::None);
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter())
    }
}

impl Service<dns::Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NameError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        Box::pin(self.clone().addresses(name.as_str().to_owned()))
    }
}
