//! A network that passes, is cut, and heals.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use broker::{Cluster, Proxy};

use crate::ask::{brokers, versions, versions_within};

/// What must not come does not come within this.
const MOMENT: Duration = Duration::from_millis(200);
/// What must come comes within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers each byte with itself.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|count| count > 0) && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    address
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        Self(TcpStream::connect(proxy.address()).unwrap())
    }

    fn send(&mut self, byte: u8) {
        self.0.write_all(&[byte]).unwrap();
    }

    /// The next byte; none at the end.
    fn hears(&mut self) -> Option<u8> {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut byte = [0];
        (self.0.read(&mut byte).unwrap() > 0).then_some(byte[0])
    }

    /// Neither a byte nor the end comes.
    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(MOMENT)).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_cut_holds_bytes_back_and_healing_delivers_them() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut old = Client::of(&proxy);
    old.send(1);
    assert_eq!(old.hears(), Some(1));

    proxy.cut();
    let mut new = Client::of(&proxy);
    for (client, byte) in [(&mut old, 2), (&mut new, 3)] {
        client.send(byte);
        client.hears_nothing();
    }
    proxy.heal();
    assert_eq!(old.hears(), Some(2));
    assert_eq!(new.hears(), Some(3));

    // Its end passes, too, and what the other side still says before its own.
    new.send(4);
    new.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(new.hears(), Some(4));
    assert_eq!(new.hears(), None);
}

#[test]
fn broken_connections_end_also_while_the_network_is_cut() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut client = Client::of(&proxy);
    client.send(1);
    assert_eq!(client.hears(), Some(1));
    proxy.cut();
    client.send(2);
    client.hears_nothing();
    proxy.break_connections();
    assert_eq!(client.hears(), None);
    proxy.heal();
    let mut next = Client::of(&proxy);
    next.send(3);
    assert_eq!(next.hears(), Some(3));
}

#[test]
fn a_client_that_comes_through_the_proxy_is_sent_nowhere_else() {
    let cluster = Cluster::single().proxied().start().unwrap();
    let node = cluster.node(1);
    let proxy = node.proxy().unwrap().address();
    assert_eq!(cluster.proxied_bootstrap(), proxy.to_string());
    assert_eq!(brokers(proxy).unwrap(), [(1, proxy.port())]);
    assert_eq!(brokers(node.address()).unwrap(), [(1, node.address().port())]);

    cluster.cut();
    versions_within(proxy, MOMENT).unwrap_err();
    versions(node.address()).unwrap();
    cluster.heal();
    versions(proxy).unwrap();
}
