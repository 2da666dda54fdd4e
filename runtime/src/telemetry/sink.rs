//! Lines for a file that nobody may depend on: the log on stderr, what a role says on stdout.
//!
//! Whoever has a line hands it to a bounded queue and goes on; a thread of its own writes. A reader that is gone, a disk that
//! is full or a pipe that nobody empties costs lines and nothing else. They are counted, and the count is told by a line of
//! its own as soon as one can be written again.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How many bytes of lines may wait for the file.
const QUEUED: usize = 1024 * 1024;
/// How long the end of a process waits for lines that are still to be written.
const FLUSH: Duration = Duration::from_secs(1);
/// How long to wait before a file that takes nothing at the moment (`EAGAIN`) is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// Makes the line that tells how many were lost.
type Confess = fn(u64) -> String;

/// A queue of lines and the thread that writes them. Cheap to clone; dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Rung whenever a line is added or written.
    changed: Condvar,
    /// Lines that were lost and have not been told yet.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether the thread has taken a line and not written it yet.
    writing: bool,
}

/// Waits at its end, for at most a second, until every line is written.
#[derive(Debug)]
#[must_use = "the last lines are written when it is dropped"]
pub struct Flush(Sink);

impl Sink {
    /// A sink for a file descriptor, which is duplicated: the locks and buffers of [`std::io`] are not shared.
    ///
    /// # Errors
    /// The descriptor cannot be duplicated, or no thread can be started.
    pub fn new(to: impl AsFd, confess: Confess) -> io::Result<Self> {
        Self::to(File::from(to.as_fd().try_clone_to_owned()?), confess)
    }

    fn to(file: impl Write + Send + 'static, confess: Confess) -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), lost: AtomicU64::new(0) });
        let mut writer = Writer { file, confess, torn: false, shared: Arc::clone(&shared) };
        thread::Builder::new().name("lines".to_owned()).spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Adds a line, its end included; where the queue is full it is lost and counted. Never blocks for the file.
    pub fn line(&self, line: impl Into<Vec<u8>>) {
        let line = line.into();
        let mut queue = self.0.queue();
        if queue.bytes + line.len() > QUEUED && !queue.lines.is_empty() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        self.0.changed.notify_all();
    }

    /// What waits, when it is dropped, until the lines so far are written.
    pub fn flush(&self) -> Flush {
        Flush(self.clone())
    }

    /// How many lines were lost since that was last told.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line, once there is one.
    fn next(&self) -> Vec<u8> {
        let mut queue = self.queue();
        queue.writing = false;
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len();
                queue.writing = true;
                return line;
            }
            self.changed.notify_all();
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let until = Instant::now() + FLUSH;
        let mut queue = self.0.0.queue();
        while queue.writing || !queue.lines.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.0.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread's side.
struct Writer<W> {
    file: W,
    confess: Confess,
    /// Whether a line was left half written, so that the next one begins with an end of line.
    torn: bool,
    shared: Arc<Shared>,
}

impl<W: Write> Writer<W> {
    fn run(&mut self) {
        loop {
            let line = self.shared.next();
            let lost = self.shared.lost.swap(0, Ordering::Relaxed);
            // What was lost stands before what was not. Where that cannot be said either, both are lost.
            let said = lost == 0 || self.write((self.confess)(lost).as_bytes()).is_ok();
            if !said || self.write(&line).is_err() {
                self.shared.lost.fetch_add(if said { 1 } else { lost + 1 }, Ordering::Relaxed);
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.whole(b"\n")?;
            self.torn = false;
        }
        self.whole(line)
    }

    fn whole(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody else made the terminal or the pipe non-blocking. This thread has nothing else to do.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(AGAIN),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A file that takes what it is allowed to: one answer for each write.
    struct Scripted {
        answers: mpsc::Receiver<io::Result<usize>>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.answers.recv().map_err(io::Error::other)??.min(bytes.len());
            let _ = self.written.send(bytes[..taken].to_vec());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted() -> (Sink, mpsc::Sender<io::Result<usize>>, mpsc::Receiver<Vec<u8>>) {
        let ((answer, answers), (written, out)) = (mpsc::channel(), mpsc::channel());
        let sink = Sink::to(Scripted { answers, written }, |lost| format!("{lost} lost\n")).expect("a thread");
        (sink, answer, out)
    }

    fn text(out: &mpsc::Receiver<Vec<u8>>) -> String {
        String::from_utf8(out.recv_timeout(Duration::from_secs(20)).expect("a write")).expect("text")
    }

    const ALL: usize = usize::MAX;

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted_and_told_when_it_takes_some_again() {
        let (sink, answer, out) = scripted();
        let full = || Err(io::Error::from(ErrorKind::StorageFull));
        for line in ["a\n", "b\n", "c\n"] {
            sink.line(line);
        }
        // Of the first line half is written; the second and third find the disk full.
        for next in [Ok(1), full(), full(), full(), Ok(ALL), Ok(ALL), Ok(ALL)] {
            answer.send(next).expect("it asks");
        }
        assert_eq!(text(&out), "a");
        while sink.lost() < 3 {
            thread::yield_now();
        }
        sink.line("d\n");
        assert_eq!([text(&out), text(&out), text(&out)], ["\n", "3 lost\n", "d\n"]);
        assert_eq!(sink.lost(), 0);
    }

    #[test]
    fn a_file_that_takes_nothing_holds_up_nobody_and_bounded_memory() {
        let (sink, answer, out) = scripted();
        let line = vec![b'x'; QUEUED / 8];
        for _ in 0..20 {
            sink.line(line.clone());
        }
        // Eight wait, a ninth is perhaps in the thread's hands.
        assert!((11..=12).contains(&sink.lost()), "{}", sink.lost());
        assert!(sink.0.queue().bytes <= QUEUED);
        let lost = sink.lost();
        let writes = 20 - lost + 1;
        for _ in 0..writes {
            answer.send(Ok(ALL)).expect("it asks");
        }
        let written: Vec<String> = (0..writes).map(|_| text(&out)).filter(|line| line.ends_with('\n')).collect();
        assert_eq!(written, [format!("{lost} lost\n")], "what was lost is told once");
    }

    #[test]
    fn the_end_waits_for_the_last_line() {
        let (sink, answer, out) = scripted();
        sink.line("last words\n");
        answer.send(Ok(ALL)).expect("it asks");
        drop(sink.flush());
        assert_eq!(out.try_recv().as_deref(), Ok(&b"last words\n"[..]));
    }

    #[test]
    fn a_pipe_without_a_reader_is_no_panic() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let sink = Sink::new(&writer, |lost| format!("{lost} lost\n")).expect("a thread");
        sink.line("nobody reads this\n");
        drop(sink.flush());
        assert_eq!(sink.lost(), 1);
    }
}
