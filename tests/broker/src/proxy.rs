//! A network that can be cut, between clients and one address.
//!
//! Kafka tells its clients where to go on, so a proxy before a broker is of use only if the broker tells the proxy's
//! address: [`Builder::proxied`](crate::Builder::proxied).

use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{Error, error::io, ports::Port};

/// Passes every connection on to one address, as long as it is not cut.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    network: Arc<Network>,
}

impl Proxy {
    /// A proxy on a port of its own, before the target. The target need not be there yet.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(target: SocketAddr) -> Result<Self, Error> {
        let (port, listener) = Port::listening()?;
        let network = Arc::new(Network::default());
        let accepting = network.clone();
        thread::Builder::new()
            .name("proxy".into())
            .spawn(move || accept(&listener, target, &accepting))
            .map_err(io("start the thread of a proxy"))?;
        Ok(Self { port, network })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Cuts the network: as on a dead cable, connections stay open and no byte passes, nor does their end; new ones are
    /// accepted and hear nothing. Bytes that a connection had under way may still arrive, later ones wait.
    pub fn cut(&self) {
        self.network.set(State::Cut);
    }

    /// Lets everything pass again, and what has waited first.
    pub fn heal(&self) {
        self.network.set(State::Whole);
    }

    /// Breaks all connections that there are; what has waited in them is lost. A cut goes on for new ones.
    pub fn break_connections(&self) {
        self.network.break_connections();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.set(State::Gone);
        self.network.break_connections();
        // Wakes the thread that accepts, so that it sees the end.
        let _woken = TcpStream::connect(self.port.address());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Whole,
    Cut,
    Gone,
}

#[derive(Debug, Default)]
struct Network {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    next: u64,
    /// One end of every connection that is open: if it is shut, the connection ends.
    open: HashMap<u64, TcpStream>,
}

impl Network {
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        self.locked().state = state;
        self.changed.notify_all();
    }

    fn break_connections(&self) {
        for (_, stream) in self.locked().open.drain() {
            // One that has ended cannot be shut, nor need it be.
            let _ended = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    fn is_gone(&self) -> bool {
        self.locked().state == State::Gone
    }

    /// Waits until bytes of this connection may pass; false if it is broken.
    fn pass(&self, connection: u64) -> bool {
        let waits = |inner: &mut Inner| inner.state == State::Cut && inner.open.contains_key(&connection);
        let inner = self.changed.wait_while(self.locked(), waits).unwrap_or_else(PoisonError::into_inner);
        inner.state == State::Whole && inner.open.contains_key(&connection)
    }

    fn opened(&self, client: &TcpStream) -> std::io::Result<u64> {
        let client = client.try_clone()?;
        let mut inner = self.locked();
        inner.next += 1;
        let connection = inner.next;
        inner.open.insert(connection, client);
        Ok(connection)
    }

    fn closed(&self, connection: u64) {
        self.locked().open.remove(&connection);
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, network: &Arc<Network>) {
    for client in listener.incoming() {
        if network.is_gone() {
            return;
        }
        // A client that is gone already is no client.
        let Ok(client) = client else { continue };
        let network = network.clone();
        let serve = move || {
            if let Ok(connection) = network.opened(&client) {
                // Whatever ends a connection, its two ends see it end.
                let _ended = serve(client, target, &network, connection);
                network.closed(connection);
            }
        };
        // Without a thread, the client sees its connection end.
        let _spawned = thread::Builder::new().name("proxied".into()).spawn(serve);
    }
}

/// One connection, from its client's first byte to the end of both directions.
fn serve(client: TcpStream, target: SocketAddr, network: &Arc<Network>, connection: u64) -> std::io::Result<()> {
    if !network.pass(connection) {
        return Ok(());
    }
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (answers, asker, answering) = (server.try_clone()?, client.try_clone()?, network.clone());
    let back = thread::Builder::new().name("proxied".into());
    let back = back.spawn(move || pump(answers, asker, &answering, connection))?;
    pump(client, server, network, connection);
    // The thread holds its own two handles; it ends with the connection.
    let _ended = back.join();
    Ok(())
}

/// Passes the bytes of one direction on, and then their end.
fn pump(mut from: TcpStream, mut to: TcpStream, network: &Network, connection: u64) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A connection that was reset is at its end, too.
            Err(_) => 0,
        };
        if !network.pass(connection) {
            break;
        }
        if count == 0 {
            // The other direction may go on.
            let _ended = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let (_, _) = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
