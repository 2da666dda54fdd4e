//! Files are a budget: every connection, child and store needs some, and a process may only have so many.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// What the rest of a process needs beside its connections: its stores, its brokers, its commands.
const RESERVED: u64 = 256;

/// Raises the soft limit of open files to the hard one, and tells how many may be open; nothing where there is no limit.
///
/// Commands that are started inherit it.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = match (current, maximum) {
        (Some(soft), Some(hard)) => soft < hard,
        (Some(_), None) => true,
        (None, _) => return None,
    };
    // Where it may not be raised, the soft limit is what there is.
    match raised && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        true => maximum,
        false => current,
    }
}

/// How many connections a listener may have of `wanted`, where so many files may be open: two listeners share what is left
/// beside the reserve.
pub(crate) fn connections(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let share = limit.saturating_sub(RESERVED.max(limit / 4)) / 2;
    wanted.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}

/// How many files may be open now.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether the process or the machine has no more of something for now, so that the same may succeed a little later.
pub fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN];
    Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        assert_eq!(connections(4096, None), 4096);
        assert_eq!(connections(4096, Some(1_048_576)), 4096);
        assert_eq!(connections(4096, Some(1024)), 384);
        assert_eq!(connections(4096, Some(10_000)), 3750);
        assert_eq!(connections(4096, Some(100)), 1);
        for limit in [600, 1024, 4096, 65536] {
            assert!(2 * connections(usize::MAX, Some(limit)) as u64 + RESERVED <= limit, "{limit}");
        }
    }

    #[test]
    fn a_connection_that_was_given_up_is_no_exhaustion() {
        for (errno, exhausted) in
            [(Errno::MFILE, true), (Errno::NFILE, true), (Errno::NOMEM, true), (Errno::CONNABORTED, false)]
        {
            assert_eq!(is_exhausted(&errno.into()), exhausted, "{errno}");
        }
        assert!(!is_exhausted(&io::Error::other("something")));
    }
}
