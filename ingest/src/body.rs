//! Reading a body whole, within what may be under way.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::budget::Taken;

/// Why a body is not whole.
pub(crate) enum Unread {
    /// It is larger than what is taken; what was read of it until then.
    TooLarge(Bytes),
    /// There is no room for it now.
    NoRoom,
    /// It did not arrive in time.
    Slow,
    /// The connection ended before it.
    Cut,
}

/// Reads a body whole, without copying where it comes in one piece. Memory is taken as bytes arrive, at most twice theirs:
/// to announce a large body and not to send it keeps nobody else out.
pub(crate) async fn collect(mut body: Incoming, limit: usize, taken: &mut Taken) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Cut)?.into_data() else { continue };
        let length = first.len().max(rest.len()) + data.len();
        if length > limit {
            rest = if rest.is_empty() { BytesMut::from(&first[..]) } else { rest };
            rest.extend_from_slice(&data);
            return Err(Unread::TooLarge(rest.freeze()));
        }
        if first.is_empty() {
            taken.reach(length).ok_or(Unread::NoRoom)?;
            first = data;
            continue;
        }
        if length > rest.capacity() {
            let room = (2 * length).min(limit);
            taken.reach(room).ok_or(Unread::NoRoom)?;
            rest.reserve(room - rest.len());
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
