//! Tells when files of a catalog change: what lies in its folders or is linked there, and nothing beside them. The
//! log and the results are often in the same folder, and change all the time.

use std::{
    io,
    path::{self, Path, PathBuf},
    time::Duration,
};

use notify::{Config, ErrorKind, Event, PollWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::links::Links;
use catalog::FOLDERS;
use catalog_log::aside;

/// How long the files must be left alone: an editor writes one in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// How long that is waited for.
const LONGEST: Duration = Duration::from_secs(1);
/// How long until a folder that is gone is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often that is looked at which the system cannot tell changes of: links, or all files.
const POLL: Duration = Duration::from_secs(2);

/// The files of a catalog's folder.
pub(super) struct Files {
    folder: PathBuf,
    watcher: Box<dyn Watcher + Send>,
    /// Whether the watcher looks by itself because the system cannot tell.
    polls: bool,
    /// As they were when it was last told to read the files.
    links: Option<Links>,
    tell: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
}

impl Files {
    /// Watches them, once the folder is there.
    pub(super) async fn watch(folder: &Path) -> Self {
        let (tell, changes) = mpsc::channel(1);
        let folder = path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let (watcher, polls) = match notify::recommended_watcher(listen(&folder, &tell)) {
            Ok(watcher) => (Box::new(watcher) as Box<dyn Watcher + Send>, false),
            Err(error) => (polling(&folder, &tell, &error), true),
        };
        let mut files = Self { folder, watcher, polls, links: None, tell, changes };
        files.watch_all().await;
        files
    }

    /// Ends when files have changed and are left alone, or after a second of changes; at the latest after that time. Whether
    /// the folder was away in between.
    pub(super) async fn changed(&mut self, at_most: Duration) -> bool {
        let _ = timeout(at_most, self.change()).await;
        // A folder may be another one of the same name by now.
        self.watch_all().await
    }

    async fn change(&mut self) {
        tokio::select! {
            // The sender lives as long as this value.
            _ = self.changes.recv() => {}
            () = moved(self.links.as_ref()) => {}
        }
        let until = Instant::now() + LONGEST;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && timeout(QUIET.min(left), self.changes.recv()).await.is_ok()
        {}
    }

    /// Watches them as soon as that can be; whether it could not for a while.
    async fn watch_all(&mut self) -> bool {
        let mut said = false;
        while let Err(error) = self.try_watch() {
            if !self.polls && !is_gone(&error) {
                (self.watcher, self.polls) = (polling(&self.folder, &self.tell, &error), true);
                continue;
            }
            if !std::mem::replace(&mut said, true) {
                let (folder, error) = (self.folder.display(), told(&error));
                tracing::error!(%folder, error, "edits of the catalog are not seen; what was applied last goes on counting");
            }
            sleep(AGAIN).await;
        }
        if said {
            tracing::info!(folder = %self.folder.display(), "the catalog's files are watched again");
        }
        // Looked for before the files are read: what changes from now on is told.
        let folder = self.folder.clone();
        self.links = aside("links", move || Links::find(&folder, &FOLDERS)).await.ok();
        said
    }

    fn try_watch(&mut self) -> notify::Result<()> {
        // Of the folder itself only that a part comes or goes.
        self.watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
        for part in FOLDERS.map(|part| self.folder.join(part)) {
            match self.watcher.watch(&part, RecursiveMode::Recursive) {
                Err(error) if is_gone(&error) => {}
                watched => watched?,
            }
        }
        Ok(())
    }
}

/// Ends when a link leads to something else than it did.
async fn moved(links: Option<&Links>) {
    loop {
        sleep(POLL).await;
        let before = links.cloned();
        if aside("links", move || before.is_none_or(|before| before.have_moved())).await.is_ok_and(|moved| moved) {
            return;
        }
    }
}

/// What hands on that files have changed.
fn listen(folder: &Path, tell: &mpsc::Sender<()>) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    let (folder, tell) = (folder.to_owned(), tell.clone());
    move |event| {
        if event.is_ok_and(|event| concerns(&folder, &event)) {
            // One that waits already says the same.
            let _ = tell.try_send(());
        }
    }
}

/// Whether an event is about files that are read.
fn concerns(folder: &Path, event: &Event) -> bool {
    let is_ours = |path: &PathBuf| match path.strip_prefix(folder) {
        Ok(below) => {
            below.components().next().is_none_or(|first| FOLDERS.iter().any(|part| first.as_os_str() == *part))
        }
        // The system knows it by another name.
        Err(_) => true,
    };
    !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(is_ours))
}

fn polling(folder: &Path, tell: &mpsc::Sender<()>, error: &notify::Error) -> Box<dyn Watcher + Send> {
    tracing::warn!(
        cause = cause(error),
        "the system cannot tell of changes to the catalog's files, so they are looked at every 2 s; on Linux raise \
         fs.inotify.max_user_instances or fs.inotify.max_user_watches"
    );
    let config = Config::default().with_poll_interval(POLL);
    match PollWatcher::new(listen(folder, tell), config) {
        Ok(watcher) => Box::new(watcher),
        Err(error) => {
            tracing::error!(cause = cause(&error), "the catalog's files are not watched: edits count after a restart");
            Box::new(notify::NullWatcher)
        }
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        // A file may stand where the folder was.
        ErrorKind::Io(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        _ => false,
    }
}

/// What is wrong with the folder, and what to do.
fn told(error: &notify::Error) -> String {
    let advice = if is_gone(error) {
        "put the folder back, or start again with another one"
    } else {
        "it is tried every second"
    };
    format!("{}; {advice}", cause(error))
}

/// An error's cause as it is: notify's own text leaves out what the system said.
fn cause(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::PathNotFound => "there is no such folder".to_owned(),
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotADirectory => "it is no folder".to_owned(),
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Generic(text) => text.clone(),
        ErrorKind::MaxFilesWatch => "no more inotify watches (fs.inotify.max_user_watches)".to_owned(),
        ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use notify::{EventKind, event::CreateKind};

    use super::*;

    fn event(path: &str) -> Event {
        Event::new(EventKind::Create(CreateKind::File)).add_path(path.into())
    }

    #[test]
    fn only_what_is_read_concerns_the_catalog() {
        let folder = Path::new("/c");
        for path in ["/c/events/a.yaml", "/c/jobs/b.yaml", "/c/events", "/c", "/elsewhere/known/by/another/name"] {
            assert!(concerns(folder, &event(path)), "{path}");
        }
        for path in ["/c/.herald", "/c/.herald/bus.db-wal", "/c/bus.db", "/c/scripts/run.sh", "/c/events.bak"] {
            assert!(!concerns(folder, &event(path)), "{path}");
        }
    }

    #[test]
    fn a_folder_that_is_gone_is_told_in_words_of_ours() {
        let (tell, _changes) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(listen(Path::new("/c"), &tell)).expect("a watcher");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        for (path, told) in
            [(folder.path().join("gone"), "there is no such folder"), (file.join("x"), "it is no folder")]
        {
            let error = watcher.watch(&path, RecursiveMode::NonRecursive).expect_err("nothing to watch");
            assert!(is_gone(&error), "{error:?}");
            assert_eq!(super::told(&error), format!("{told}; put the folder back, or start again with another one"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_all_the_time_are_read_after_a_second() {
        let folder = std::env::temp_dir();
        let mut files = Files::watch(&folder).await;
        let tell = files.tell.clone();
        let changing = tokio::spawn(async move {
            while tell.send(()).await.is_ok() {
                sleep(QUIET / 2).await;
            }
        });
        let begun = Instant::now();
        files.change().await;
        assert!(begun.elapsed() <= LONGEST + QUIET, "{:?}", begun.elapsed());
        changing.abort();
    }

    #[tokio::test]
    async fn an_edit_of_what_a_link_leads_to_is_seen() {
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
        std::fs::create_dir(folder.path().join("events")).expect("a folder");
        let file = outside.path().join("x.yaml");
        std::fs::write(&file, "before").expect("written");
        std::os::unix::fs::symlink(&file, folder.path().join("events/a.b.yaml")).expect("a link");
        let mut files = Files::watch(folder.path()).await;
        std::fs::write(&file, "an edit").expect("written");
        timeout(Duration::from_secs(30), files.changed(Duration::MAX)).await.expect("it is seen");
    }

    #[tokio::test]
    async fn without_help_of_the_system_edits_are_seen_by_looking() {
        let folder = std::env::temp_dir().join(format!("herald-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("events")).expect("a folder");
        let (tell, changes) = mpsc::channel(1);
        let watcher = polling(&folder, &tell, &notify::Error::io(io::Error::other("too many open files")));
        let mut files = Files { folder: folder.clone(), watcher, polls: true, links: None, tell, changes };
        files.watch_all().await;
        std::fs::write(folder.join("events/a.b.yaml"), "x").expect("written");
        timeout(Duration::from_secs(30), files.changed(Duration::MAX)).await.expect("it is seen");
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
