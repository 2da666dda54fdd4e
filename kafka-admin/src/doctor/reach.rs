//! Whether the brokers answer at all, and what is in the way if not: the name, the network, TLS, or who we say we are.

use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::{consumer::Consumer as _, error::RDKafkaErrorCode};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::Finding;
use crate::{Heard, Trouble, hear, observer};
use kafka::{Config, blocking};

const CHECK: &str = "brokers";
/// How long a name and a connection may take.
const CONNECT: Duration = Duration::from_secs(4);
/// How often a broker is asked, and for how long each time.
const TRIES: u32 = 4;
const TRY: Duration = Duration::from_millis(1500);

/// Tries each address that is configured, by itself.
pub(crate) async fn bootstrap(config: &Config) -> Vec<Finding> {
    let one = async |address: &String| {
        let address = with_port(address);
        let told = match connect(&address).await {
            Err(finding) => finding,
            Ok(()) => ask(config, &address).await,
        };
        told.at(address)
    };
    join_all(config.brokers.iter().map(one)).await
}

/// Tries the addresses by which brokers announce themselves, which is where clients go.
pub(crate) async fn announced(config: &Config, addresses: &[String]) -> Vec<Finding> {
    let tried: Vec<String> = config.brokers.iter().map(|address| with_port(address)).collect();
    let one = async |address: &String| {
        let finding = connect(address).await.err()?;
        let advice =
            "it announces itself by an address that cannot be reached from here: mend its `advertised.listeners`";
        Some(Finding { advice: advice.to_owned(), ..finding }.at(address))
    };
    let others = addresses.iter().filter(|address| !tried.contains(address));
    join_all(others.map(one)).await.into_iter().flatten().collect()
}

/// `host:port` of what may have a protocol before it, and no port.
fn with_port(address: &str) -> String {
    let address = address.trim();
    let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if has_port { address.to_owned() } else { format!("{address}:9092") }
}

/// The name and the connection.
async fn connect(address: &str) -> Result<(), Finding> {
    let nobody = |what: String| {
        let advice = "is it the right host, and does the name service know it from here?";
        Finding::problem(CHECK, what, advice)
    };
    let found = match timeout(CONNECT, lookup_host(address)).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(nobody(format!("the name is not known: {error}"))),
        Err(_) => return Err(nobody("the name service does not answer".to_owned())),
    };
    let mut last = "there is no address".to_owned();
    for place in found {
        match timeout(CONNECT, TcpStream::connect(place)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "it does not answer: a firewall may swallow it".to_owned(),
        }
    }
    let advice = "is the broker up, and is this its port?";
    Err(Finding::problem(CHECK, format!("no connection: {last}"), advice))
}

/// What the broker says to a client.
async fn ask(config: &Config, address: &str) -> Finding {
    let config = Config { brokers: vec![address.to_owned()], ..config.clone() };
    let asked = blocking(move || {
        let heard = Heard::default();
        let client = observer(&config, heard.clone())
            .map_err(|error| Finding::problem(CHECK, error.to_string(), "mend `bus.kafka.properties`"))?;
        for _ in 0..TRIES {
            if client.fetch_metadata(None, TRY).is_ok() {
                return Ok(Finding::ok(CHECK, "it answers"));
            }
            hear(&client);
            if heard.troubles().iter().any(|trouble| is_final(trouble.code)) {
                break;
            }
        }
        Err(told(&heard.troubles()))
    });
    match asked.await {
        Ok(Ok(finding) | Err(finding)) => finding,
        Err(error) => Finding::problem(CHECK, error.to_string(), "try again"),
    }
}

/// What asking again does not mend.
fn is_final(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL))
}

/// What librdkafka's troubles mean. The most telling one counts: what else went wrong mostly follows from it.
pub(crate) fn told(troubles: &[Trouble]) -> Finding {
    let by_code = |code| troubles.iter().rfind(|trouble| trouble.code == Some(code));
    if let Some(trouble) = by_code(RDKafkaErrorCode::Authentication) {
        let advice = "see `sasl.mechanism`, `sasl.username` and `sasl.password` in `bus.kafka.properties`";
        return Finding::problem(
            "authentication",
            format!("it does not take who we say we are: {}", trouble.reason),
            advice,
        );
    }
    let says_tls = |trouble: &&Trouble| {
        let reason = trouble.reason.to_ascii_lowercase();
        reason.contains("ssl") || reason.contains("certificate")
    };
    if let Some(trouble) = by_code(RDKafkaErrorCode::SSL).or_else(|| troubles.iter().rfind(says_tls)) {
        let advice = "see `security.protocol`, `ssl.ca.location` and, for clients with certificates, \
                      `ssl.certificate.location` and `ssl.key.location` in `bus.kafka.properties`";
        return Finding::problem("authentication", format!("no TLS: {}", trouble.reason), advice);
    }
    let reason = troubles.last().map_or("it says nothing", |trouble| trouble.reason.as_str());
    // A broker that wants another protocol just hangs up, in one of many words.
    let advice = "does this port want TLS or SASL (`security.protocol` in `bus.kafka.properties`), and is it Kafka at all? \
                  Else see the broker's log";
    Finding::problem(CHECK, format!("it takes the connection, but does not answer: {reason}"), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(code: RDKafkaErrorCode, reason: &str) -> Trouble {
        Trouble { code: Some(code), reason: reason.to_owned() }
    }

    #[test]
    fn an_address_without_a_port_has_kafkas() {
        for (given, tried) in [
            ("h", "h:9092"),
            ("h:9093", "h:9093"),
            ("SASL_SSL://h:1", "h:1"),
            ("[::1]", "[::1]:9092"),
            (" [::1]:2 ", "[::1]:2"),
        ] {
            assert_eq!(with_port(given), tried);
        }
    }

    #[test]
    fn the_most_telling_trouble_counts() {
        let down = trouble(RDKafkaErrorCode::BrokerTransportFailure, "Disconnected");
        let sasl = trouble(RDKafkaErrorCode::Authentication, "SASL authentication error: Invalid username");
        let found = told(&[sasl, down.clone()]);
        assert!(found.check == "authentication" && found.what.contains("Invalid username"), "{found:?}");
        let tls = trouble(RDKafkaErrorCode::SSL, "SSL handshake failed: certificate verify failed");
        assert!(told(&[tls, down.clone()]).advice.contains("ssl.ca.location"));
        let hangs_up = trouble(
            RDKafkaErrorCode::BrokerTransportFailure,
            "Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol",
        );
        let found = told(&[down, hangs_up]);
        assert!(found.check == "brokers" && found.advice.contains("security.protocol"), "{found:?}");
    }

    #[tokio::test]
    async fn a_closed_port_and_an_unknown_name_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        assert_eq!(connect(&address).await, Ok(()));
        drop(listener);
        let closed = connect(&address).await.expect_err("nobody listens");
        assert!(closed.what.starts_with("no connection"), "{closed:?}");
        let unknown = connect("no-such-host.invalid:9092").await.expect_err("no such name");
        assert!(unknown.what.contains("name"), "{unknown:?}");
    }
}
