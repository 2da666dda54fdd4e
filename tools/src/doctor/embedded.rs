//! The embedded bus: its folder, who has it open, its format, and room on its disk. Nothing is written or opened.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _},
    path::Path,
};

use bus::embedded::{Config, FILE, FORMAT, LOCK};
use runtime::finding::Finding;
use rustix::{
    fs::{Access, StatVfs, access, statvfs},
    io::Errno,
};

const CHECK: &str = "data folder";
/// What begins every file of SQLite, and where its format's number is.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const VERSION_AT: usize = 60;

/// Checks the folder.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let folder = &config.folder;
    let place = folder.display().to_string();
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::ok(CHECK, "it does not exist yet; `herald dev` creates it").at(place)];
        }
        Err(error) => {
            let advice = "let the user that runs Herald read and write it";
            return vec![Finding::problem(CHECK, format!("it cannot be looked at: {error}"), advice).at(place)];
        }
        Ok(is) if !is.is_dir() => {
            return vec![Finding::problem(CHECK, "it is no folder", "choose another with --data").at(place)];
        }
        Ok(_) => {}
    }
    let room = match statvfs(folder) {
        Ok(disk) => room(&disk, config, size(&folder.join(FILE))),
        Err(error) => {
            Finding::warning(CHECK, format!("its disk cannot be asked: {error}"), "see whether it is mounted")
        }
    };
    let found = [lock(&folder.join(LOCK)), format(&folder.join(FILE)), room].into_iter().chain(not_writable(folder));
    found.map(|finding| finding.at(place.clone())).collect()
}

/// Whether this user may not write what is there. Another user may run Herald.
fn not_writable(folder: &Path) -> Option<Finding> {
    let may_not = |path: &Path, wanted| path.exists() && access(path, wanted) == Err(Errno::ACCESS);
    let is_closed = may_not(folder, Access::WRITE_OK | Access::EXEC_OK)
        || [FILE, LOCK].iter().any(|name| may_not(&folder.join(name), Access::WRITE_OK));
    let advice = "let the user that runs Herald write it, or ask the doctor as that user";
    is_closed.then(|| Finding::warning(CHECK, "this user may not write it", advice))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |is| is.len())
}

/// The process that has the bus open, if one has and its number can be read.
pub(super) fn holder(config: &Config) -> Option<u32> {
    let mut file = File::open(config.folder.join(LOCK)).ok()?;
    let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    pid(&mut file).filter(|_| is_held)
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Who has it open. The lock that is tried ends with this look.
fn lock(path: &Path) -> Finding {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Finding::ok(CHECK, "nobody has used it yet"),
        Err(error) => {
            let advice = "let the user that runs Herald read and write it";
            return Finding::problem(CHECK, format!("its lock cannot be read: {error}"), advice);
        }
    };
    match file.try_lock_shared() {
        Ok(()) => Finding::ok(CHECK, "nobody has it open"),
        Err(TryLockError::WouldBlock) => {
            let pid = pid(&mut file).map_or("another process".to_owned(), |pid| format!("process {pid}"));
            Finding::ok(CHECK, format!("it is in use by {pid}: a second `herald dev` on it would be refused"))
        }
        Err(TryLockError::Error(error)) => {
            let advice = "keep it on a local disk: network file systems often cannot lock";
            Finding::problem(CHECK, format!("it cannot be locked: {error}"), advice)
        }
    }
}

/// The format, as the file's head has it.
fn format(path: &Path) -> Finding {
    let mut head = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::ok(CHECK, format!("it has no {FILE} yet"));
        }
        // What was never written through lies beside it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Finding::ok(CHECK, format!("{FILE} is empty"));
        }
        Err(error) => {
            let advice = "let the user that runs Herald read and write it";
            return Finding::problem(CHECK, format!("{FILE} cannot be read: {error}"), advice);
        }
        Ok(()) => {}
    }
    if !head.starts_with(MAGIC) {
        let advice = "put back a backup, or choose another folder with --data";
        return Finding::problem(
            CHECK,
            format!("{FILE} is no file of SQLite: it is damaged, or something else"),
            advice,
        );
    }
    let version = head[VERSION_AT..].first_chunk().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)));
    if version > FORMAT {
        let what = format!("{FILE} has format {version}, and this Herald knows up to {FORMAT}");
        return Finding::problem(CHECK, what, "use the newer Herald that wrote it, or another folder with --data");
    }
    Finding::ok(CHECK, format!("{FILE} has format {}", version.max(1)))
}

/// Whether the disk has room for what the file may become.
fn room(disk: &StatVfs, config: &Config, size: u64) -> Finding {
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    room_for(free, config, size)
}

fn room_for(free: u64, config: &Config, size: u64) -> Finding {
    let more = |limit: u64| limit.saturating_sub(size);
    let told = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let (keeps, most) = (more(config.keep_bytes), more(config.max_bytes));
    if free < keeps.max(256 << 20) {
        let what = format!(
            "its disk has {} free, and the log may still take {} to keep what it should",
            told(free),
            told(keeps)
        );
        return Finding::problem(CHECK, what, "free some, or lower `bus.keep-bytes`");
    }
    if free < most {
        let what = format!("its disk has {} free, and the log may grow by {}", told(free), told(most));
        return Finding::warning(
            CHECK,
            what,
            "free some, or lower `bus.max-bytes`: a full disk answers webhooks with 503 too",
        );
    }
    Finding::ok(CHECK, format!("its disk has {} free", told(free)))
}

#[cfg(test)]
mod tests {
    use runtime::finding::Level;

    use super::*;

    fn found(folder: &Path) -> Vec<(Level, String)> {
        let config = Config { keep_bytes: 1, max_bytes: 1, ..Config::new(folder) };
        check(&config).into_iter().map(|finding| (finding.level, finding.what)).collect()
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_fine_and_a_file_in_its_place_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = found(&folder.path().join("none"));
        assert!(matches!(missing.as_slice(), [(Level::Ok, what)] if what.contains("creates it")), "{missing:?}");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(found(&file).as_slice(), [(Level::Problem, _)]));
    }

    #[tokio::test]
    async fn a_bus_in_use_and_its_format_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = bus::embedded::Embedded::open(&Config::new(folder.path())).expect("a bus");
        let during = found(folder.path());
        assert_eq!(holder(&Config::new(folder.path())), Some(std::process::id()));
        assert!(during.iter().any(|(_, what)| what.contains(&format!("process {}", std::process::id()))), "{during:?}");
        bus.close();
        drop(bus);
        assert_eq!(holder(&Config::new(folder.path())), None);
        let after = found(folder.path());
        assert!(after.iter().any(|(level, what)| *level == Level::Ok && what == "nobody has it open"), "{after:?}");
        assert!(after.iter().any(|(_, what)| what == &format!("bus.db has format {FORMAT}")), "{after:?}");
    }

    #[test]
    fn a_newer_or_a_foreign_file_is_a_problem() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let mut head = vec![0; 100];
        head[..16].copy_from_slice(MAGIC);
        head[VERSION_AT + 3] = 99;
        fs::write(&path, &head).expect("written");
        let newer = format(&path);
        assert!(newer.level == Level::Problem && newer.what.contains("format 99"), "{newer:?}");
        fs::write(&path, vec![b'x'; 100]).expect("written");
        assert_eq!(format(&path).level, Level::Problem);
    }

    #[test]
    fn a_folder_that_this_user_may_not_write_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(not_writable(folder.path()).is_none());
        let mut permissions = folder.path().metadata().expect("a folder").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(folder.path(), permissions).expect("changed");
        // Who is root may write all the same.
        if File::create(folder.path().join("x")).is_err() {
            assert!(not_writable(folder.path()).is_some_and(|told| told.level == Level::Warning));
        }
    }

    #[test]
    fn room_is_weighed_against_what_the_log_may_become() {
        let config = Config::new("x");
        assert_eq!(room_for(100 << 30, &config, 0).level, Level::Ok);
        assert_eq!(room_for(4 << 30, &config, 0).level, Level::Warning);
        assert_eq!(room_for(1 << 30, &config, 0).level, Level::Problem);
        assert_eq!(room_for(1 << 30, &config, 8 << 30).level, Level::Ok);
    }
}
