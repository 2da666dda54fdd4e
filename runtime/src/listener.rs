//! Listening for HTTP: where, for whom, and how it ends.
//!
//! A process listens beyond loopback only with a secret, or because its configuration spells out `auth = "none"`. Slow
//! clients cannot pile up: the headers of a request, idle time before them included, have a deadline, so has a write that
//! the other side does not read, and connections have a limit beyond which further ones wait in the kernel.

mod stream;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time,
};

use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::stream::Guarded;
use crate::{
    config::{Auth, Duration, deserialize_address},
    files, meter,
};

/// Where and for whom a listener is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Listen {
    /// The address and port, as in `127.0.0.1:8080`, `0.0.0.0:8080`, `[::]:8080`. Port 0 is a free one.
    #[serde(deserialize_with = "deserialize_address")]
    pub address: SocketAddr,
    /// Who may come in: a secret, a list of secrets, or `"none"`, which must be spelt out beyond loopback.
    pub auth: Auth,
    /// How many connections there are at most; further ones wait.
    pub max_connections: usize,
    /// How long a connection may take to send the headers of its next request, idle time included.
    pub header_timeout: Duration,
    /// How long a client may read nothing of an answer that waits for it.
    pub write_timeout: Duration,
    /// How long requests under way may take to finish when the process stops.
    pub drain_timeout: Duration,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            auth: Auth::Unset,
            max_connections: 4096,
            header_timeout: Duration::secs(60),
            write_timeout: Duration::secs(30),
            drain_timeout: Duration::secs(10),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Everybody could come in, and nobody said that they may.
    #[error(
        "`{setting}.address` is {address}, which others can reach, and `{setting}.auth` is not set; set a secret, in the \
         variable {} or as `auth` below [{setting}] in the file of --config, or write `auth = \"none\"` there if everybody may \
         come in",
        variable(setting)
    )]
    Open {
        /// The path of the listener's settings.
        setting: &'static str,
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (`{setting}.address`): {source}; {}", advice(source.kind(), flag, *address))]
    Bind {
        /// The path of the listener's settings.
        setting: &'static str,
        /// The option of the command line that says the address.
        flag: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
}

/// The variable of a listener's secret.
fn variable(setting: &str) -> String {
    format!("HERALD__{}__AUTH", setting.replace('.', "__").to_ascii_uppercase())
}

/// What to do where an address cannot be listened on, with another that may do.
fn advice(why: io::ErrorKind, flag: &str, address: SocketAddr) -> String {
    let port = |port: u16| SocketAddr::new(address.ip(), port);
    let next = port(address.port().checked_add(2).unwrap_or(0));
    match why {
        io::ErrorKind::AddrInUse => {
            let remark = if address.port() == 8080 { " (8080 is Hasura's own port, too)" } else { "" };
            format!("stop what uses it, or choose another: {flag} {next}{remark}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 are for the superuser; choose another: {flag} {}", port(8080))
        }
        io::ErrorKind::AddrNotAvailable => {
            let own = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
            format!("it is no address of this machine; choose one that is: {flag} {own}")
        }
        _ => format!("choose another: {flag} {next}"),
    }
}

impl Listen {
    /// What a task that serves has to end: what requests under way are given, and a little to cut the others.
    pub fn shutdown_budget(&self) -> time::Duration {
        self.drain_timeout.get() + time::Duration::from_secs(5)
    }

    /// Checks that nobody can come in whom the configuration does not mention. `setting` is the path of these settings.
    ///
    /// # Errors
    /// [`ListenError::Open`].
    pub fn check(&self, setting: &'static str) -> Result<(), ListenError> {
        match self.auth {
            Auth::Unset if !self.address.ip().to_canonical().is_loopback() => {
                Err(ListenError::Open { setting, address: self.address })
            }
            _ => Ok(()),
        }
    }
}

/// A listener that is there: connections are accepted by the kernel from now on, and served once it runs.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    header: time::Duration,
    write: time::Duration,
    drain: time::Duration,
}

/// How many bytes of a connection are in memory in each direction before more is waited for: parts of an answer that comes in
/// parts, and the head of a request, which can be as long and no longer. An answer that is one piece is not cut.
const BUFFER: usize = 64 * 1024;
/// How long to wait when the process or the machine can take no more connections for now.
const EXHAUSTED: time::Duration = time::Duration::from_millis(50);

impl Bound {
    /// Listens. `setting` is the path of these settings (`ingest.listen`) and `flag` the option that says the address
    /// (`--listen`), for errors.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(setting: &'static str, flag: &'static str, listen: &Listen) -> Result<Self, ListenError> {
        listen.check(setting)?;
        let failed = |source| ListenError::Bind { setting, flag, address: listen.address, source };
        let listener = TcpListener::bind(listen.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let wanted = listen.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let connections = files::connections(wanted, files::limit());
        if connections < wanted {
            tracing::warn!(
                setting = format!("{setting}.max-connections"),
                wanted,
                connections,
                files = files::limit(),
                "fewer connections than configured: this process may not open more files; raise `ulimit -Hn`"
            );
        }
        let limits = Limits {
            connections,
            header: listen.header_timeout.get(),
            write: listen.write_timeout.get(),
            drain: listen.drain_timeout.get(),
        };
        Ok(Self { listener, address, limits })
    }

    /// The address, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a router until the shutdown, then lets requests under way finish for the configured time.
    ///
    /// A response that never ends by itself (a live stream) has to watch the same token: otherwise it is cut when that
    /// time is over.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) {
        self.serve_with(TowerToHyperService::new(router), shutdown).await;
    }

    /// Serves a bare service; see [`Bound::serve`].
    pub async fn serve_with<S, B>(self, service: S, shutdown: CancellationToken)
    where
        S: Service<hyper::Request<Incoming>, Response = hyper::Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: std::error::Error + Send + Sync,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: std::error::Error + Send + Sync,
    {
        let http = http(self.limits.header);
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        let mut exhausted = false;
        loop {
            // Stopping goes first, so that a flood of connections cannot hold it up.
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let (stream, slot) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if files::is_exhausted(&error) => {
                    if !std::mem::replace(&mut exhausted, true) {
                        tracing::warn!(address = %self.address, %error, "no further connections for now; trying again");
                    }
                    tokio::time::sleep(EXHAUSTED).await;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(address = %self.address, %error, "a connection was given up before it was accepted");
                    continue;
                }
            };
            exhausted = false;
            let stream = Guarded::new(stream, self.limits.write, shutdown.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service.clone());
            let shutdown = shutdown.clone();
            connections.spawn(meter::inherit(async move {
                let mut connection = std::pin::pin!(connection);
                let ended = tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = shutdown.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(slot);
            }));
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, drained).await.is_err() {
            tracing::warn!(address = %self.address, open = connections.len(), "requests under way were cut");
        }
    }
}

/// The next connection, once there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("invariant: the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    // Without it answers are slower, that is all.
    let _ = stream.set_nodelay(true);
    Ok((stream, slot))
}

/// How connections are read and written.
fn http(header_timeout: time::Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    // Who has sent a whole request and closes that side still wants the answer.
    http.timer(TokioTimer::new()).header_read_timeout(header_timeout).half_close(true).max_buf_size(BUFFER);
    http
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::{Context, Poll},
    };

    use axum::body::Bytes;
    use hyper::{body::Frame, service::service_fn};
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    const PART: usize = 32 * 1024;

    /// An answer without end, in parts, and how much of it was asked for.
    struct Endless(Arc<AtomicUsize>);

    impl hyper::body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.fetch_add(PART, SeqCst);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; PART])))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_stands_still_holds_little_of_an_answer_that_comes_in_parts() {
        let (mut client, server) = duplex(1024);
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let service = service_fn(move |_| {
            let body = Endless(counter.clone());
            async move { Ok::<_, Infallible>(hyper::Response::new(body)) }
        });
        let timeout = time::Duration::from_secs(30);
        tokio::spawn(http(timeout).serve_connection(TokioIo::new(server), service));
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        // The clock moves once everybody waits.
        tokio::time::sleep(timeout / 2).await;
        let asked = asked.load(SeqCst);
        assert!((PART..=BUFFER + 2 * PART).contains(&asked), "{asked} bytes of it are in memory");
    }
}
