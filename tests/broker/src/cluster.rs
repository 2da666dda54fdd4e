//! One node, or three that replicate.

use std::{
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    Error, Node, Proxy,
    artifacts::Kafka,
    error::io,
    node::Parts,
    ports::Port,
    properties::{self, CLIENT, CONTROLLER, Given, PROXIED},
};

/// A running Kafka of one's own; it ends when this is dropped, and in any case with this process.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

/// A cluster that is not started yet.
#[derive(Debug)]
#[must_use = "it is not started yet"]
pub struct Builder {
    nodes: usize,
    proxied: bool,
    data: Option<PathBuf>,
    properties: Vec<(String, String)>,
    options: Vec<String>,
}

impl Cluster {
    /// One node, to be started.
    pub fn single() -> Builder {
        Builder::new(1)
    }

    /// Three nodes, to be started: three replicas, of which two must be in sync.
    pub fn of_three() -> Builder {
        Builder::new(3)
    }

    /// The servers to start from: `127.0.0.1:4711,…`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        addresses.join(",")
    }

    /// The servers to start from for a client whose network can be cut: it only ever speaks through the proxies.
    ///
    /// # Panics
    /// If it was not built with [`Builder::proxied`].
    pub fn proxied_bootstrap(&self) -> String {
        let addresses: Vec<_> = self.proxies().map(|proxy| proxy.address().to_string()).collect();
        assert!(!addresses.is_empty(), "this cluster was built without proxies");
        addresses.join(",")
    }

    /// Cuts all proxies.
    pub fn cut(&self) {
        self.proxies().for_each(Proxy::cut);
    }

    /// Heals all proxies.
    pub fn heal(&self) {
        self.proxies().for_each(Proxy::heal);
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with that id, as Kafka's metadata names it; ids start at 1.
    ///
    /// # Panics
    /// If there is none.
    pub fn node(&self, id: i32) -> &Node {
        let node = self.nodes.iter().find(|node| node.id() == id);
        node.unwrap_or_else(|| panic!("there is no node {id}: there are 1 to {}", self.nodes.len()))
    }

    fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.nodes.iter().filter_map(Node::proxy)
    }
}

impl Builder {
    fn new(nodes: usize) -> Self {
        Self { nodes, proxied: false, data: None, properties: Vec::new(), options: Vec::new() }
    }

    /// Adds a property of every broker, or overrides ours.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.push((key.into(), value.to_string()));
        self
    }

    /// Adds an option of every Java, or overrides ours, as in `-Xmx1g`; not the garbage collector, of which Java
    /// takes only one.
    pub fn java_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Puts the data into an existing folder, as on a disk that fills up: `node-<id>` in it. It is not removed.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Puts a proxy before every node: [`Cluster::proxied_bootstrap`].
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Starts all nodes, and waits until each serves clients.
    ///
    /// # Errors
    /// If Kafka cannot be fetched, or a node does not start; with the end of its log.
    pub fn start(self) -> Result<Cluster, Error> {
        let kafka = Kafka::get()?;
        self.start_with(kafka)
    }

    pub(crate) fn start_with(self, kafka: Arc<Kafka>) -> Result<Cluster, Error> {
        let ports = (0..self.nodes).map(|_| Ports::free(self.proxied)).collect::<Result<Vec<_>, _>>()?;
        let voters = ports.iter().zip(1..).map(|(ports, id)| format!("{id}@{}", ports.controller.address()));
        let voters = voters.collect::<Vec<_>>().join(",");
        let cluster = cluster_id();
        let mut nodes = Vec::new();
        for (ports, id) in ports.into_iter().zip(1..) {
            nodes.push(self.node(id, ports, &voters, &cluster, &kafka)?);
        }
        // None gets ready before there is a quorum.
        let launched = nodes.iter().map(Node::launch).collect::<Result<Vec<_>, _>>()?;
        nodes.iter().zip(launched).try_for_each(|(node, from)| node.ready(from))?;
        Ok(Cluster { nodes })
    }

    fn node(&self, id: i32, ports: Ports, voters: &str, cluster: &str, kafka: &Arc<Kafka>) -> Result<Node, Error> {
        let home = tempfile::Builder::new().prefix("herald-kafka-").tempdir();
        let home = home.map_err(io("create a temporary folder"))?;
        let data = match &self.data {
            Some(folder) => folder.join(format!("node-{id}")),
            None => home.path().join("data"),
        };
        kafka.format(&data, cluster, id)?;
        let client = ports.client.address();
        let plain = |name, port: &Port| (name, port.address().to_string(), port.address().to_string());
        let mut listeners = vec![plain(CLIENT, &ports.client), plain(CONTROLLER, &ports.controller)];
        let mut kept = vec![ports.client, ports.controller];
        let mut proxy = None;
        if let Some(behind) = ports.proxied {
            let before = Proxy::start(behind.address())?;
            listeners.push((PROXIED, behind.address().to_string(), before.address().to_string()));
            kept.push(behind);
            proxy = Some(before);
        }
        let given =
            Given { id, nodes: self.nodes, voters, listeners: &listeners, data: &data, extra: &self.properties };
        let properties = properties::text(&given);
        let (kafka, options) = (kafka.clone(), self.options.clone());
        Node::new(Parts { id, client, ports: kept, proxy, kafka, home, properties, options })
    }
}

/// The ports of a node.
struct Ports {
    client: Port,
    controller: Port,
    /// Where the proxy reaches it.
    proxied: Option<Port>,
}

impl Ports {
    fn free(proxied: bool) -> Result<Self, Error> {
        let behind = proxied.then(Port::free).transpose()?;
        Ok(Self { client: Port::free()?, controller: Port::free()?, proxied: behind })
    }
}

/// 16 random bytes as Kafka writes them, so that a client notices when it meets another cluster under an old address.
fn cluster_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random = RandomState::new();
    // 21 letters of six bits, and one of the last two bits, which are zero.
    let letter = |place: u32| char::from(LETTERS[usize::from(random.hash_one(place).to_le_bytes()[0] % 64)]);
    (0..21).map(letter).chain(['A']).collect()
}
