//! One connection: a reader that stands still is cut, and what is refused early still arrives.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

/// How many bytes of a body that nobody wants are read and thrown away, so that its sender comes to read the answer.
const DISCARDED: usize = 64 * 1024 * 1024;
/// How long that may take in all.
const LINGER: Duration = Duration::from_secs(30);
/// How long the sender may pause meanwhile.
const PAUSE: Duration = Duration::from_secs(2);

/// A stream with a deadline for each write, which is closed so that the other side can read what was written last.
///
/// A connection that is closed while bytes of the other side are still unread is reset by the kernel, and the answer is lost
/// on the way. So its end is written first; then what still comes is read and thrown away, within limits.
pub(super) struct Guarded<S> {
    stream: S,
    write_timeout: Duration,
    /// Runs while a write waits for the other side to read.
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
    /// Whoever stops does not wait for strangers.
    stopping: CancellationToken,
}

struct Lingering {
    discarded: usize,
    until: Instant,
    pause: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, write_timeout: Duration, stopping: CancellationToken) -> Self {
        Self { stream, write_timeout, stalled: None, lingering: None, stopping }
    }

    /// Passes on what became of a write, unless it has waited for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side reads nothing")))
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Ends when the other side has ended, or has had its chance.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            discarded: 0,
            until: Instant::now() + LINGER,
            pause: Box::pin(sleep(PAUSE)),
        });
        let mut buffer = [0; 16 * 1024];
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    lingering.discarded += read.filled().len();
                    let now = Instant::now();
                    if lingering.discarded > DISCARDED || now >= lingering.until {
                        return Poll::Ready(());
                    }
                    lingering.pause.as_mut().reset((now + PAUSE).min(lingering.until));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if self.stopping.is_cancelled() => return Poll::Ready(()),
                Poll::Pending => return lingering.pause.as_mut().poll(cx),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_cut_and_a_slow_one_is_not() {
        let (mut client, server) = duplex(8);
        let timeout = Duration::from_secs(30);
        let mut server = Guarded::new(server, timeout, CancellationToken::new());
        let writing = tokio::spawn(async move { (server.write_all(&[1; 64]).await, Instant::now()) });
        let begun = Instant::now();
        for _ in 0..3 {
            sleep(Duration::from_secs(20)).await;
            client.read_exact(&mut [0; 8]).await.expect("some of it");
        }
        let (written, ended) = writing.await.expect("no panic");
        assert_eq!(written.expect_err("cut").kind(), io::ErrorKind::TimedOut);
        assert_eq!(ended - begun, Duration::from_secs(60) + timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_read_to_its_end_before_the_connection_closes() {
        let (mut client, server) = duplex(1024);
        let mut server = Guarded::new(server, PAUSE, CancellationToken::new());
        let closing = tokio::spawn(async move { server.shutdown().await });
        client.write_all(&vec![1; 1_000_000]).await.expect("it is read");
        drop(client);
        closing.await.expect("no panic").expect("closed");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_for_ever_or_never_ends_is_not_waited_for() {
        let (mut client, server) = duplex(1024 * 1024);
        let mut server = Guarded::new(server, PAUSE, CancellationToken::new());
        let closing = tokio::spawn(async move { server.shutdown().await });
        while client.write_all(&vec![1; 1_000_000]).await.is_ok() {}
        closing.await.expect("no panic").expect("closed");
        let (client, server) = duplex(8);
        let begun = Instant::now();
        Guarded::new(server, PAUSE, CancellationToken::new()).shutdown().await.expect("closed");
        assert_eq!(begun.elapsed(), PAUSE);
        drop(client);
    }
}
