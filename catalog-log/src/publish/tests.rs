use bus::{
    embedded::{Config, Embedded},
    hostile::Hostile,
};

use std::path::Path;

use super::*;

const EVENT: &str = "from: { table: public.moves }\nsample: { id: 1 }\ndata: { id: new.id }\n";

/// One kind of jobs, of which nothing is there.
struct Commands;

impl Kinds for Commands {
    fn check(&self, _: &str, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        vec!["command"]
    }

    fn absent(&self, _: &str, options: &serde_json::Value) -> Option<(String, String)> {
        Some((format!("{options} is not there"), "put it there".to_owned()))
    }
}

pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) bus: Arc<dyn Bus>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bus: Arc<dyn Bus> = Arc::new(Embedded::open(&Config::new(folder.path().join("bus"))).expect("a bus"));
        bus.create(vec![TopicSpec::table(topics::CATALOG)]).await.expect("a topic");
        Self { folder, bus }
    }

    /// A publisher of a folder of its own, in which one event has that description.
    pub(crate) fn publisher(&self, name: &str, description: &str) -> Publisher {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(folder.join("events")).expect("a folder");
        let text = format!("description: {description}\n{EVENT}");
        std::fs::write(folder.join("events/move.changed.yaml"), text).expect("written");
        Publisher {
            bus: self.bus.clone(),
            kinds: Arc::new(Commands),
            folder,
            writers: Writers::Others,
            create_topics: true,
            may_empty: false,
        }
    }

    /// What a publisher would write now.
    pub(crate) async fn planned(&self, name: &str, description: &str) -> CatalogRecord {
        begun(&self.publisher(name, description), &mut Log::new(&*self.bus)).await
    }

    /// The description that counts, with its number, for whoever reads the topic from its begin; and how many records are
    /// not deleted.
    async fn counts(&self) -> (u64, String, usize) {
        let (mut log, mut newest) = (Log::new(&*self.bus), Newest::default());
        newest.catch_up(&mut log).await.expect("a topic");
        let record = newest.record.expect("a catalog");
        let text = record.sources.text("events/move.changed.yaml").expect("the event").to_owned();
        let description = text.lines().next().unwrap_or_default().trim_start_matches("description: ").to_owned();
        (record.number, description, log.live().count())
    }
}

/// Plans on what is there now, and writes later.
async fn begun<'b>(publisher: &'b Publisher, log: &mut Log<'b>) -> CatalogRecord {
    let draft = publisher.draft(log).await.expect("a bus").ok().expect("files that can be used");
    publisher.record(Box::new(draft)).await.expect("a record").1
}

#[tokio::test]
async fn of_two_writers_of_one_number_the_first_counts_and_the_other_is_refused() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.publisher("a", "first"), fixture.publisher("b", "second"));
    let (mut log_a, mut log_b) = (Log::new(&*fixture.bus), Log::new(&*fixture.bus));
    let (a, b) = (begun(&first, &mut log_a).await, begun(&second, &mut log_b).await);
    assert_eq!((a.number, b.number), (1, 1));
    first.write(&a, &mut log_a).await.expect("it is first");
    let refused = second.write(&b, &mut log_b).await.expect_err("it is second").to_string();
    assert!(refused.contains("version 1") && refused.contains("yours does not count"), "{refused}");
    assert_eq!(fixture.counts().await, (1, "first".to_owned(), 1));
    // Applied again, it is planned on what counts.
    assert!(matches!(second.apply().await.expect("a bus"), Applied::Published(draft) if draft.number() == 2));
    assert_eq!(fixture.counts().await, (2, "second".to_owned(), 2), "the one before may still decide for a while");
}

#[test]
fn a_catalog_is_kept_for_as_long_as_what_it_decided() {
    let at = |minutes: i64| Timestamp::from_second(1_700_000_000 + 60 * minutes).expect("a time");
    let live = |number: u64, minutes| (Bytes::from(number.to_string()), Some(Live { number, written: at(minutes) }));
    let catalogs = || vec![live(1, 0), live(2, 100), live(3, 200), (Bytes::from("odd"), None)];
    let gone = |oldest, now| {
        let gone = expendable(catalogs(), at(oldest), at(now));
        gone.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(gone(50, 300), ["odd"]);
    assert_eq!(gone(109, 300), ["odd"]);
    assert_eq!(gone(110, 300), ["odd", "1"]);
    assert_eq!(gone(250, 300), ["odd", "2", "1"]);
    assert_eq!(gone(310, 300), ["odd", "3", "2", "1"]);
    let many = (0..150).map(|number| live(number, number as i64)).collect();
    assert_eq!(expendable(many, at(0), at(200)).len(), 50);
}

#[tokio::test]
async fn a_writer_that_died_before_it_took_its_own_back_changes_nothing() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.publisher("a", "first"), fixture.publisher("b", "second"));
    let mut log = Log::new(&*fixture.bus);
    let b = begun(&second, &mut log).await;
    first.apply().await.expect("a bus");
    let late = Outgoing::new(topics::CATALOG, "1/of-one-that-died", b.encode());
    fixture.bus.publish(vec![late]).await.expect("published");
    assert_eq!(fixture.counts().await, (1, "first".to_owned(), 2));
    assert!(matches!(first.apply().await.expect("a bus"), Applied::Unchanged(1, ..)));
}

#[tokio::test]
async fn a_look_changes_nothing_and_needs_no_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus: Arc<dyn Bus> = Arc::new(Embedded::open(&Config::new(folder.path().join("bus"))).expect("a bus"));
    let fixture = Fixture { folder, bus };
    let draft = fixture.publisher("a", "first").look().await.expect("a bus").ok().expect("files that can be used");
    assert_eq!((draft.number(), draft.missing.len()), (1, 1));
    assert!(fixture.bus.topics().await.expect("a bus").is_empty());
}

#[tokio::test]
async fn files_that_say_the_same_create_topics_that_were_deleted() {
    let fixture = Fixture::new().await;
    let publisher = fixture.publisher("a", "first");
    publisher.apply().await.expect("a bus");
    let topic = "event.move.changed".into();
    fixture.bus.delete(&topic).await.expect("it was created");
    let Applied::Unchanged(1, _, missing) = publisher.apply().await.expect("a bus") else { panic!("nothing changed") };
    assert_eq!(missing.iter().map(|spec| &spec.topic).collect::<Vec<_>>(), [&topic]);
    assert!(fixture.bus.topics().await.expect("topics").iter().any(|info| info.topic == topic));
}

#[tokio::test]
async fn files_that_are_not_read_are_warned_of_and_make_no_version() {
    let fixture = Fixture::new().await;
    let publisher = fixture.publisher("a", "first");
    let events = publisher.folder.join("events");
    std::fs::write(events.join("note.txt"), "before").expect("written");
    assert!(matches!(publisher.apply().await.expect("a bus"), Applied::Published(_)));
    std::fs::remove_file(events.join("note.txt")).expect("removed");
    assert!(matches!(publisher.apply().await.expect("a bus"), Applied::Unchanged(1, ..)));
    for name in ["move.changed.yaml~", "4913", "#move.changed.yaml#", "move.changed.yaml.swp"] {
        std::fs::write(events.join(name), "by an editor").expect("written");
        let Applied::Unchanged(1, report, _) = publisher.apply().await.expect("a bus") else { panic!("{name}") };
        let told = report.to_string();
        assert!(told.contains(name) && told.contains("this file is not read"), "{told}");
    }
    // An edit beside them is one.
    let publisher = fixture.publisher("a", "second");
    assert!(matches!(publisher.apply().await.expect("a bus"), Applied::Published(draft) if draft.number() == 2));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_warning_with_its_line() {
    let fixture = Fixture::new().await;
    let publisher = fixture.publisher("a", "first");
    let job = "jobs:\n  - id: tell\n    command: [./no-such-program]\n";
    std::fs::write(publisher.folder.join("events/move.changed.yaml"), format!("{EVENT}{job}")).expect("written");
    let Applied::Published(draft) = publisher.apply().await.expect("a bus") else {
        panic!("a warning forbids nothing")
    };
    let told = draft.report.to_string();
    assert!(told.contains("events/move.changed.yaml:6") && told.contains("no-such-program\"] is not there"), "{told}");
}

#[tokio::test]
async fn a_folder_that_lost_its_files_takes_no_event_away_unless_that_is_meant() {
    let fixture = Fixture::new().await;
    let mut publisher = fixture.publisher("a", "first");
    publisher.apply().await.expect("a bus");
    let (events, away) = (publisher.folder.join("events"), publisher.folder.join("away"));
    std::fs::rename(&events, &away).expect("moved");
    for _ in 0..2 {
        let Applied::Invalid(standing, report) = publisher.apply().await.expect("a bus") else {
            panic!("they are gone")
        };
        assert_eq!(standing, Standing::Counts(1));
        let told = report.to_string();
        assert!(told.contains("error: there is no file of an event any more, and version 1 has 1 event"), "{told}");
        assert!(told.contains("--empty"), "{told}");
        // An empty folder, as where nothing is mounted, is no other case.
        std::fs::create_dir_all(&events).expect("a folder");
    }
    std::fs::remove_dir(&events).and_then(|()| std::fs::rename(&away, &events)).expect("moved back");
    assert!(matches!(publisher.apply().await.expect("a bus"), Applied::Unchanged(1, ..)));
    std::fs::rename(&events, &away).expect("moved");
    publisher.may_empty = true;
    assert!(matches!(publisher.apply().await.expect("a bus"), Applied::Published(draft) if draft.number() == 2));
}

#[tokio::test]
async fn the_catalog_of_another_folder_counts_for_nothing_and_that_of_a_renamed_one_does() {
    let fixture = Fixture::new().await;
    let own = |name: &str| Publisher { writers: Writers::Us, ..fixture.publisher(name, "the same") };
    let first = own("a");
    first.apply().await.expect("a bus");
    let record = on_the_bus(&*fixture.bus).await.expect("a bus").expect("a catalog");
    assert_eq!(record.folder, home(&first.folder));
    let second = own("b");
    assert_eq!(
        Standing::of(Some(&record), &second.folder),
        Standing::Another(home(&first.folder).expect("it is there").into())
    );
    let broken = |folder: &Path| std::fs::write(folder.join("events/move.changed.yaml"), "x: 1").expect("written");
    broken(&second.folder);
    let Applied::Invalid(Standing::Another(_), _) = second.apply().await.expect("a bus") else {
        panic!("it is another's")
    };
    // Its files say the same, and are another's all the same.
    let second = own("b");
    assert!(matches!(second.apply().await.expect("a bus"), Applied::Published(draft) if draft.number() == 2));
    let renamed = second.folder.with_file_name("c");
    std::fs::rename(&second.folder, &renamed).expect("renamed");
    broken(&renamed);
    let third = Publisher { folder: renamed, ..second };
    let Applied::Invalid(Standing::Counts(2), _) = third.apply().await.expect("a bus") else {
        panic!("it is the same")
    };
}

/// On a bus that refuses publications which it has written all the same, leaves holes, and answers in its own time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_that_it_counts_has_a_number_of_its_own_and_the_last_of_them_is_read() {
    for seed in 0..20 {
        let mut fixture = Fixture::new().await;
        let bus = Arc::new(Hostile::new(seed));
        fixture.bus = bus.clone();
        while fixture.bus.create(vec![TopicSpec::table(topics::CATALOG)]).await.is_err() {}
        let writers: Vec<Publisher> =
            (0..4).map(|who| fixture.publisher(&format!("{who}"), &format!("by {who}"))).collect();
        let writing = writers.into_iter().enumerate().map(|(who, publisher)| {
            tokio::spawn(async move {
                for _ in 0..20 {
                    if let Ok(Applied::Published(draft)) = publisher.apply().await {
                        return Some((draft.number(), format!("by {who}")));
                    }
                }
                None
            })
        });
        let mut counted = Vec::new();
        for one in writing.collect::<Vec<_>>() {
            counted.extend(one.await.expect("no panic"));
        }
        counted.sort();
        assert!(counted.windows(2).all(|pair| pair[0].0 < pair[1].0), "{counted:?} of seed {seed}");
        bus.calm();
        let (number, _, _) = fixture.counts().await;
        let last = counted.last().expect("somebody got through").0;
        // A record whose end was not known may stand, and count, without its writer having been told.
        assert!(number >= last, "{number} counts, and {last} was said to");
        let (mut log, mut newest) = (Log::new(&*fixture.bus), Newest::default());
        newest.catch_up(&mut log).await.expect("a topic");
        assert_eq!(newest.record.map(|record| record.number), Some(number), "whoever reads anew reads the same");
    }
}
