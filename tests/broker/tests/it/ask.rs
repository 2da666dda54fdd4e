//! As much of Kafka's protocol as it takes to see that a broker answers.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for the versions of the protocol that it speaks.
pub(crate) fn versions(broker: SocketAddr) -> io::Result<()> {
    let answer = ask(broker, 18, 0, &[], PATIENCE)?;
    assert_eq!(answer[..2], [0, 0], "an error code");
    Ok(())
}

/// The same, when it is not expected to answer soon.
pub(crate) fn versions_within(broker: SocketAddr, patience: Duration) -> io::Result<()> {
    ask(broker, 18, 0, &[], patience).map(drop)
}

/// The id and the port of each broker, as a client is told.
pub(crate) fn brokers(broker: SocketAddr) -> io::Result<Vec<(i32, u16)>> {
    // Of no topics.
    let answer = ask(broker, 3, 1, &0_i32.to_be_bytes(), PATIENCE)?;
    let mut rest = answer.as_slice();
    let count = i32::from_be_bytes(*take(&mut rest));
    let brokers = (0..count).map(|_| {
        let id = i32::from_be_bytes(*take(&mut rest));
        let host = usize::from(u16::from_be_bytes(*take(&mut rest)));
        rest = &rest[host..];
        let port = i32::from_be_bytes(*take(&mut rest));
        assert_eq!(*take(&mut rest), [0xff; 2], "no rack");
        (id, u16::try_from(port).unwrap())
    });
    Ok(brokers.collect())
}

fn take<'a, const COUNT: usize>(rest: &mut &'a [u8]) -> &'a [u8; COUNT] {
    let (taken, left) = rest.split_first_chunk().unwrap();
    *rest = left;
    taken
}

fn ask(broker: SocketAddr, api: i16, version: i16, body: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    const CORRELATION: [u8; 4] = [4, 7, 1, 1];
    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(patience))?;
    let mut request = Vec::from(u32::try_from(10 + body.len()).unwrap().to_be_bytes());
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION);
    // No client id.
    request.extend([0xff, 0xff]);
    request.extend(body);
    stream.write_all(&request)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer[..4], CORRELATION, "it answers another question");
    Ok(answer.split_off(4))
}
