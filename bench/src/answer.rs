//! A connection that sends prepared bytes and reads as little of the answers as is needed.

use std::io::{Error, ErrorKind};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The longest head of an answer that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// A kept-alive connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 4096], filled: 0 })
    }

    /// Sends a request and reads its answer; the status of it, and whether the connection can be used again.
    ///
    /// # Errors
    /// The connection broke, or what came is no HTTP/1.1 answer with a length.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<(u16, bool), Error> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.buffer[..self.filled])? {
                break head;
            }
        };
        let mut missing = (head.length + head.body).saturating_sub(self.filled);
        while missing > 0 {
            // The body is not looked at: it is read into what the head no longer needs.
            self.filled = 0;
            self.read().await?;
            missing = missing.saturating_sub(self.filled);
        }
        Ok((head.status, head.keeps))
    }

    async fn read(&mut self) -> Result<(), Error> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let length = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += length;
        if length == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// What is needed of an answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// The bytes of the head itself.
    length: usize,
    /// The bytes of the body.
    body: usize,
    /// Whether the connection stays.
    keeps: bool,
}

impl Head {
    /// The head, once all of it is here.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let malformed = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > MAX_HEAD {
                Err(malformed("an answer without an end of its head"))
            } else {
                Ok(None)
            };
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| malformed("an answer that is not text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let mut head =
            Self { status: status.ok_or_else(|| malformed("no HTTP/1.1"))?, length: end + 4, body: 0, keeps: true };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.body = value.parse().map_err(|_| malformed("an answer with a length that is no number"))?;
            } else if name.eq_ignore_ascii_case("connection") {
                head.keeps = !value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(malformed("an answer in chunks"));
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{";
        assert_eq!(Head::parse(&bytes[..bytes.len() - 3]).expect("well-formed"), None);
        let head = Head { status: 503, length: bytes.len() - 1, body: 12, keeps: false };
        assert_eq!(Head::parse(bytes).expect("well-formed"), Some(head));
        for wrong in ["HTTP/2 200\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "\r\n\r\n"] {
            assert!(Head::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(Head::parse(&vec![b'a'; MAX_HEAD + 1]).is_err());
    }

    #[tokio::test]
    async fn a_connection_is_used_again_after_an_answer_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let long = "x".repeat(10_000);
            for body in ["ok", &long, ""] {
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.expect("a request");
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                for piece in answer.as_bytes().chunks(7) {
                    stream.write_all(piece).await.expect("written");
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut connection = Connection::open(&address).await.expect("connected");
        for _ in 0..3 {
            assert_eq!(connection.exchange(b"ping").await.expect("answered"), (200, true));
        }
        server.await.expect("the server ends");
        assert!(connection.exchange(b"ping").await.is_err(), "the server has closed it");
    }
}
