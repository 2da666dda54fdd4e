//! What becomes of topics on a real broker, and what the doctor finds there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Topic, TopicSpec};
use kafka::Config;
use kafka_admin::{
    Admin, Error, Plan,
    doctor::{self, Expected},
    plan::State,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseRecord, Producer, ThreadedProducer},
};
use runtime::finding::{Finding, Level};

/// How long a client may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Herald of its own on the shared broker.
fn config() -> Config {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("admin{}-{number}.", std::process::id());
    Config { prefix, role: "test".into(), ..Config::new([broker::shared()]) }
}

fn client() -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker::shared());
    client
}

fn specs() -> Vec<TopicSpec> {
    let mut specs = ["raw", "seen", "progress", "rejected", "event.move.new"].map(TopicSpec::new).to_vec();
    specs.push(TopicSpec::table("catalog"));
    specs
}

async fn applied(admin: &Admin, specs: &[TopicSpec], drained: &[&str]) -> (Vec<String>, Plan) {
    let drained: Vec<Topic> = drained.iter().map(|topic| Topic::from(*topic)).collect();
    let plan = admin.plan(specs, &drained).await.unwrap();
    let done = admin.apply(&plan).await.unwrap();
    let failed = done.into_iter().filter_map(|done| done.failed).collect();
    (failed, admin.plan(specs, &[]).await.unwrap())
}

async fn create(config: &Config, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let name = format!("{}{topic}", config.prefix);
    let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    admin.create_topics(&[new], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
    // It is known a little later; until then a plan would find it missing.
    let ours = Admin::open(config).unwrap();
    while !ours.cluster().await.unwrap().topics.contains_key(&name) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn settings(config: &Config, topic: &str) -> HashMap<String, String> {
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let name = format!("{}{topic}", config.prefix);
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(&name)], &AdminOptions::new()).await.unwrap();
    let resource = described.into_iter().next().unwrap().unwrap();
    resource.entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
}

/// Writes a record to a partition in a transaction, whose marker takes an offset too.
fn write(config: &Config, topic: &str, partition: i32) {
    let name = format!("{}{topic}", config.prefix);
    let mut settings = client();
    settings.set("transactional.id", format!("{name}-{partition}"));
    let producer: ThreadedProducer<_> = settings.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer
        .send(BaseRecord::<str, str>::to(&name).payload("x").partition(partition))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
}

/// Commits a group's position, as a member of nothing.
fn commit(config: &Config, group: &str, topic: &str, positions: &[(i32, i64)]) {
    let mut settings = client();
    settings.set("group.id", format!("{}{group}", config.prefix)).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create().unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, next) in positions {
        list.add_partition_offset(&format!("{}{topic}", config.prefix), *partition, Offset::Offset(*next)).unwrap();
    }
    let begun = Instant::now();
    while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        // A coordinator that begins says so for a moment.
        assert!(begun.elapsed() < PATIENCE, "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn what_is_missing_is_created_as_laid_out_and_then_nothing_is_to_be_done() {
    let config = config();
    let admin = Admin::open(&config).unwrap();
    let plan = admin.plan(&specs(), &[]).await.unwrap();
    assert!(plan.topics.iter().all(|topic| topic.state == State::Missing));
    assert!(!admin.cluster().await.unwrap().topics.contains_key(&format!("{}raw", config.prefix)), "asking created it");
    let (failed, left) = applied(&admin, &specs(), &[]).await;
    assert_eq!(failed, [""; 0]);
    assert!(left.is_done(), "{left:?}");
    let catalog = settings(&config, "catalog").await;
    assert_eq!((catalog["cleanup.policy"].as_str(), catalog["retention.ms"].as_str()), ("compact", "-1"));
    let existing = admin.existing(&specs()).await.unwrap();
    assert_eq!(existing[&Topic::from("seen")].count(), 6);
}

#[tokio::test]
async fn a_topic_that_somebody_else_creates_meanwhile_is_told_and_planned_again() {
    let config = config();
    let admin = Admin::open(&config).unwrap();
    let plan = admin.plan(&[TopicSpec::new("raw")], &[]).await.unwrap();
    create(&config, "raw", 2, &[]).await;
    let done = admin.apply(&plan).await.unwrap();
    assert!(done[0].failed.as_ref().is_some_and(|why| why.contains("plan again")), "{done:?}");
}

#[tokio::test]
async fn changing_a_setting_leaves_the_others_that_were_set_on_the_topic() {
    let config = config();
    create(&config, "raw", 6, &[("retention.ms", "3600000"), ("segment.bytes", "2097152")]).await;
    let admin = Admin::open(&config).unwrap();
    let (failed, left) = applied(&admin, &specs(), &[]).await;
    assert_eq!(failed, [""; 0]);
    assert!(left.is_done(), "{left:?}");
    let raw = settings(&config, "raw").await;
    assert_eq!(raw["retention.ms"], (7 * 24 * 3_600_000_u64).to_string());
    assert_eq!(raw["segment.bytes"], "2097152");
}

#[tokio::test]
async fn partitions_are_added_to_a_keyed_topic_once_everything_is_read_and_nobody_writes() {
    let config = config();
    create(&config, "event.move.new", 2, &[]).await;
    let admin = Admin::open(&config).unwrap();
    applied(&admin, &specs(), &[]).await;
    let topic = "event.move.new";
    let count = async || admin.existing(&specs()).await.unwrap()[&Topic::from(topic)].count();

    write(&config, topic, 0);
    commit(&config, "job.slow", topic, &[(0, 0), (1, 0)]);
    let (failed, left) = applied(&admin, &specs(), &[topic]).await;
    assert!(
        matches!(failed.as_slice(), [why] if why.contains("job.slow") && why.contains("partition 0")),
        "{failed:?}"
    );
    assert!(!left.is_done() && count().await == 2);

    // Read, but for the transaction's marker, which nobody is given.
    commit(&config, "job.slow", topic, &[(0, 1), (1, 0)]);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (config, stop) = (config.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                write(&config, topic, 1);
            }
        }
    });
    let (failed, _) = applied(&admin, &specs(), &[topic]).await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(matches!(failed.as_slice(), [why] if why.contains("partition 1")), "{failed:?}");
    assert_eq!(count().await, 2);

    let observer: BaseConsumer = client().create().unwrap();
    let (_, end) = observer.fetch_watermarks(&format!("{}{topic}", config.prefix), 1, PATIENCE).unwrap();
    commit(&config, "job.slow", topic, &[(0, 1), (1, end)]);
    let (failed, left) = applied(&admin, &specs(), &[topic]).await;
    assert_eq!(failed, [""; 0]);
    assert!(left.is_done() && count().await == 6, "{left:?}");
}

#[tokio::test]
async fn seen_grows_with_raw_or_not_at_all() {
    let config = config();
    create(&config, "raw", 2, &[]).await;
    let admin = Admin::open(&config).unwrap();
    let count = async |topic: &str| admin.existing(&specs()).await.unwrap()[&Topic::from(topic)].count();
    applied(&admin, &specs(), &[]).await;
    assert_eq!((count("raw").await, count("seen").await), (2, 2));
    write(&config, "raw", 0);
    commit(&config, "detector", "raw", &[(0, 0)]);
    let (failed, _) = applied(&admin, &specs(), &["raw"]).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((count("raw").await, count("seen").await), (2, 2));
    commit(&config, "detector", "raw", &[(0, 2)]);
    let (failed, left) = applied(&admin, &specs(), &["raw"]).await;
    assert_eq!(failed, [""; 0]);
    assert!(left.is_done(), "{left:?}");
    assert_eq!((count("raw").await, count("seen").await), (6, 6));
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_with_the_reason() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config::new([port.to_string()]);
    let Err(Error::Unreachable { reason, .. }) = Admin::open(&config).unwrap().cluster().await else {
        panic!("nobody listens there");
    };
    assert!(reason.contains("refused"), "{reason}");
    let found = examine(&config, &Expected::default()).await;
    assert!(found.iter().any(|it| it.check == "brokers" && it.level == Level::Problem), "{found:?}");
}

async fn examine(config: &Config, expected: &Expected) -> Vec<Finding> {
    doctor::examine(config, expected, doctor::reach(config).await).await
}

fn about<'f>(found: &'f [Finding], check: &str) -> Vec<&'f Finding> {
    found.iter().filter(|finding| finding.check == check).collect()
}

#[tokio::test]
async fn the_doctor_finds_a_planned_cluster_without_problems_and_compares_the_clocks() {
    let config = config();
    let admin = Admin::open(&config).unwrap();
    applied(&admin, &specs(), &[]).await;
    let expected = Expected { specs: specs(), probe: true, ..Expected::default() };
    let found = examine(&config, &expected).await;
    assert!(found.iter().all(|finding| finding.level < Level::Problem), "{found:#?}");
    for check in ["configuration", "broker version", "topics", "recent ids", "clock"] {
        let about = about(&found, check);
        assert!(!about.is_empty() && about.iter().all(|it| it.level == Level::Ok), "{check}: {found:#?}");
    }
    assert!(about(&found, "clock")[0].what.contains("agree"));
    assert!(about(&found, "broker version")[0].what.contains("Kafka 4."), "{:?}", about(&found, "broker version"));
    let left: Vec<_> = admin.cluster().await.unwrap().topics.into_keys().collect();
    assert!(!left.iter().any(|name| name.starts_with(&format!("{}doctor", config.prefix))), "{left:?}");
}

#[tokio::test]
async fn the_doctor_tells_of_records_that_were_deleted_unread_and_of_settings_that_do_not_fit() {
    let config = config();
    create(&config, "raw", 1, &[("max.message.bytes", "1000000"), ("retention.ms", "60000")]).await;
    create(&config, "seen", 3, &[]).await;
    let admin = Admin::open(&config).unwrap();
    for _ in 0..3 {
        write(&config, "raw", 0);
    }
    commit(&config, "detector", "raw", &[(0, 1)]);
    let groups = vec![("detector".to_owned(), vec![Topic::from("raw")])];
    let expected = Expected { specs: specs(), groups, ids: 2, ..Expected::default() };
    let found = examine(&config, &expected).await;
    assert!(about(&found, "lag").iter().all(|finding| finding.level == Level::Ok), "{found:#?}");
    assert_eq!(about(&found, "recent ids")[0].level, Level::Warning);
    let topics = about(&found, "topics");
    for part in ["records beyond 1000000 bytes", "`raw` has 1", "kept for 1 min", "does not exist yet"] {
        assert!(topics.iter().any(|finding| finding.what.contains(part)), "{part}: {topics:#?}");
    }

    let raw: AdminClient<DefaultClientContext> = client().create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&admin.full_name(&Topic::from("raw")), 0, Offset::Offset(4)).unwrap();
    raw.delete_records(&before, &AdminOptions::new()).await.unwrap();
    let found = examine(&config, &expected).await;
    let lag = about(&found, "lag");
    assert!(lag.iter().any(|it| it.level == Level::Problem && it.places[0].contains("begins at 4")), "{lag:?}");
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_protocol_are_told_apart_from_a_broker_that_is_away() {
    let users = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"right\" \
                 user_admin=\"right\";";
    let cluster = broker::Cluster::single()
        .property("listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT")
        .property("sasl.enabled.mechanisms", "PLAIN")
        .property("sasl.mechanism.inter.broker.protocol", "PLAIN")
        .property("listener.name.client.plain.sasl.jaas.config", users)
        .start()
        .unwrap();
    let with = |properties: &[(&str, &str)]| Config {
        properties: properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Config::new([cluster.bootstrap()])
    };
    let sasl = |password: &'static str| {
        with(&[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "admin"),
            ("sasl.password", password),
        ])
    };
    let right = doctor::reach(&sasl("right")).await;
    assert_eq!(right[0].level, Level::Ok, "{right:?}");
    let wrong = doctor::reach(&sasl("wrong")).await;
    assert!(wrong[0].check == "authentication" && wrong[0].level == Level::Problem, "{wrong:?}");
    let plain = doctor::reach(&with(&[])).await;
    assert!(plain[0].level == Level::Problem && plain[0].advice.contains("security.protocol"), "{plain:?}");
    let tls = doctor::reach(&with(&[("security.protocol", "SSL")])).await;
    assert!(tls[0].check == "authentication" && tls[0].what.contains("no TLS"), "{tls:?}");
    assert!(!format!("{wrong:?}").contains("\"wrong\""), "the password is told");
}
