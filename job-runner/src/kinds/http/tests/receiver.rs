//! Receivers as they are: quick, slow, rude and wrong.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

pub(super) const PEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kinds/http/tests/pem");

/// What a receiver does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Answers and goes on.
    Answer(String),
    /// Writes that and closes.
    Close(String),
    /// Resets the connection.
    Reset,
    /// Says nothing more.
    Hang(String),
    /// Announces that many bytes and sends them until nobody reads any more.
    Flood(usize),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) connection: usize,
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

type Seens = Arc<Mutex<Vec<Seen>>>;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    seen: Seens,
    /// How many bytes were sent of a flood.
    pub(super) sent: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a status line, headers and a body.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

impl Receiver {
    /// One that replies to the request of each number, from 0.
    pub(super) async fn start(reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, reply).await
    }

    /// The same, over TLS.
    pub(super) async fn tls(
        server: ServerConfig,
        reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(Some(TlsAcceptor::from(Arc::new(server))), reply).await
    }

    async fn with(tls: Option<TlsAcceptor>, reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, sent, reply) = (Seens::default(), Arc::<AtomicUsize>::default(), Arc::new(reply));
        let (all, count) = (seen.clone(), sent.clone());
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (tls, all, count, reply) = (tls.clone(), all.clone(), count.clone(), reply.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, &all, &count, &*reply).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                                serve_h2(stream, connection, &all).await;
                            } else {
                                serve(stream, connection, &all, &count, &*reply).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, sent, task }
    }

    /// Everything that came.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path by the name of this machine, over TLS.
    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

/// What can be reset.
trait Resets {
    fn reset(&self);
}

impl Resets for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().expect("an option");
    }
}

impl Resets for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Resets + Unpin>(
    mut stream: S,
    connection: usize,
    all: &Seens,
    count: &AtomicUsize,
    reply: &(dyn Fn(usize, &Seen) -> Reply + Send + Sync),
) {
    while let Some(seen) = request(&mut stream, connection).await {
        let number = {
            let mut all = all.lock().expect("a lock");
            all.push(seen.clone());
            all.len() - 1
        };
        match reply(number, &seen) {
            Reply::Answer(text) => stream.write_all(text.as_bytes()).await.expect("written"),
            Reply::Close(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Reset => return stream.reset(),
            Reply::Hang(text) => {
                stream.write_all(text.as_bytes()).await.expect("written");
                return pending().await;
            }
            Reply::Flood(bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("written");
                let part = [b'x'; 64 * 1024];
                while count.load(Relaxed) < bytes && stream.write_all(&part).await.is_ok() {
                    count.fetch_add(part.len(), Relaxed);
                }
                return;
            }
        }
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin), connection: usize) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let mut seen = Seen { connection, head, body: String::new() };
    let length: usize = seen.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8(bytes[end + 4..].to_vec()).expect("text");
    Some(seen)
}

/// Answers over HTTP/2 with the version that it spoke.
async fn serve_h2(stream: tokio_rustls::server::TlsStream<TcpStream>, connection: usize, all: &Seens) {
    let service = service_fn(|request: Request<Incoming>| {
        let head = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        all.lock().expect("a lock").push(Seen { connection, head: head.clone(), body: String::new() });
        async move { Ok::<_, hyper::Error>(Response::new(head)) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(format!("{PEM}/{name}.pem")).expect("a file");
    found.collect::<Result<_, _>>().expect("certificates")
}

/// A server with that certificate; one that wants to know its clients has their authority.
pub(super) fn server(name: &str, knows_clients: bool, protocols: &[&str]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let config = config.expect("versions");
    let config = if knows_clients {
        let mut roots = RootCertStore::empty();
        roots.add(certificates("ca").remove(0)).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        config.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        config.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(format!("{PEM}/{name}.key")).expect("a key");
    let mut config = config.with_single_cert(certificates(name), key).expect("a certificate");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}
