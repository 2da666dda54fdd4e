use super::*;
use crate::existing::{Replicas, Setting};

/// Wants the base topics and one event of the default layout; `change` says otherwise.
struct Case {
    layout: Layout,
    specs: Vec<TopicSpec>,
    drained: Vec<Topic>,
    existing: BTreeMap<Topic, Existing>,
}

/// As the layout has them, on one broker.
fn case() -> Case {
    let layout = Layout::default();
    let mut specs: Vec<TopicSpec> =
        ["raw", "seen", "progress", "completed", "rejected", "event.move.new"].map(TopicSpec::new).to_vec();
    specs.push(TopicSpec::table("catalog"));
    let existing = specs.iter().map(|spec| (spec.topic.clone(), as_planned(&layout.plan(spec)))).collect();
    Case { layout, specs, drained: Vec::new(), existing }
}

fn as_planned(planned: &Planned) -> Existing {
    let setting = |value: &String| Setting { value: value.clone(), is_own: true };
    Existing {
        partitions: vec![Replicas { leader: Some(1), all: 1, in_sync: 1 }; planned.partitions as usize],
        settings: planned.config.iter().map(|(key, value)| (key.clone(), setting(value))).collect(),
    }
}

impl Case {
    fn plan(&self) -> Plan {
        let Self { layout, specs, drained, existing } = self;
        of(&Wanted { layout, prefix: "herald.", specs, drained }, existing)
    }

    fn set(&mut self, topic: &str, key: &str, value: &str) {
        let existing = self.existing.get_mut(&Topic::from(topic)).expect("a topic");
        existing.settings.get_mut(key).expect("a setting").value = value.to_owned();
    }

    fn partitions(&mut self, topic: &str, count: usize) {
        let existing = self.existing.get_mut(&Topic::from(topic)).expect("a topic");
        existing.partitions.resize(count, Replicas { leader: Some(1), all: 1, in_sync: 1 });
    }

    /// The one topic that differs, and how.
    fn only(&self, topic: &str) -> Vec<(String, Step)> {
        let plan = self.plan();
        let mut found = Vec::new();
        for one in plan.topics {
            let State::Exists(_, differences) = one.state else { panic!("`{}` is missing", one.topic) };
            if one.topic.as_str() == topic {
                found = differences.into_iter().map(|it| (it.what, it.step)).collect();
            } else {
                assert_eq!(differences, [], "{}", one.topic);
            }
        }
        found
    }
}

#[test]
fn a_cluster_as_planned_leaves_nothing_to_do() {
    let plan = case().plan();
    assert!(plan.is_done());
    assert_eq!(plan.topics[0].name, "herald.catalog");
}

#[test]
fn what_is_missing_is_to_be_created() {
    let mut case = case();
    case.existing.remove(&Topic::from("event.move.new"));
    let plan = case.plan();
    assert!(!plan.is_done());
    let missing: Vec<_> = plan.topics.iter().filter(|it| it.state == State::Missing).collect();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].name.as_str(), missing[0].planned.partitions), ("herald.event.move.new", 6));
}

#[test]
fn partitions_are_not_added_to_a_keyed_topic_unless_it_is_said_to_be_drained() {
    for topic in ["progress", "event.move.new", "completed"] {
        let mut case = case();
        case.partitions(topic, 3);
        let differences = case.only(topic);
        let (what, Step::Refused(why)) = &differences[0] else { panic!("{differences:?}") };
        assert_eq!(what, "partitions");
        assert!(why.contains(&format!("--drained {topic}")) && why.contains("stop every"), "{why}");
        assert!(!case.plan().is_done());
        case.drained.push(Topic::from(topic));
        assert_eq!(case.only(topic), [("partitions".to_owned(), Step::ApplyDrained)]);
    }
    let mut case = case();
    case.partitions("rejected", 3);
    assert_eq!(case.only("rejected"), [("partitions".to_owned(), Step::Apply)]);
}

#[test]
fn seen_follows_raw_as_it_is_and_grows_with_it_once_it_is_drained() {
    let mut case = case();
    case.partitions("raw", 3);
    case.partitions("seen", 3);
    assert!(matches!(case.only("raw")[..], [(_, Step::Refused(_))]), "and `seen` stays with what `raw` has");
    case.drained.push(Topic::from("raw"));
    let plan = case.plan();
    let step_of = |topic: &str| match &plan.topics.iter().find(|it| it.topic.as_str() == topic).expect("it").state {
        State::Exists(3, differences) => differences[0].step.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((step_of("raw"), step_of("seen")), (Step::ApplyDrained, Step::Apply));
    // Without a memory for each partition of `raw` a detector cannot work: that is mended without more ado.
    case.drained.clear();
    case.partitions("raw", 6);
    assert_eq!(case.only("seen"), [("partitions".to_owned(), Step::Apply)]);
    case.partitions("seen", 9);
    assert!(matches!(case.only("seen")[..], [(_, Step::Refused(_))]));
}

#[test]
fn more_than_planned_is_left_and_nothing_is_to_be_done() {
    let mut case = case();
    case.partitions("progress", 12);
    case.set("progress", "retention.ms", "-1");
    case.set("progress", "max.message.bytes", "104857600");
    let differences = case.only("progress");
    assert_eq!(differences.len(), 3);
    assert!(differences.iter().all(|(_, step)| matches!(step, Step::Left(_))), "{differences:?}");
    assert!(case.plan().is_done());
}

#[test]
fn what_loses_nothing_is_applied_and_what_could_is_left_to_hands() {
    let mut case = case();
    case.layout.config.insert("min.insync.replicas".into(), "2".into());
    case.layout.config.insert("segment.bytes".into(), "1048576".into());
    case.layout.replication = Some(3);
    let only = [TopicSpec::new("raw")];
    let mut existing = as_planned(&case.layout.plan(&only[0]));
    for (key, value) in [
        ("retention.ms", "3600000"),
        ("max.message.bytes", "1048588"),
        ("segment.bytes", "1073741824"),
        ("cleanup.policy", "compact"),
        ("min.insync.replicas", "1"),
    ] {
        existing.settings.insert(key.into(), Setting { value: value.into(), is_own: false });
    }
    let existing = BTreeMap::from([(Topic::from("raw"), existing)]);
    let plan = of(&Wanted { layout: &case.layout, prefix: "", specs: &only, drained: &[] }, &existing);
    let State::Exists(_, differences) = &plan.topics[0].state else { panic!("it exists") };
    let steps: BTreeMap<&str, &Step> = differences.iter().map(|it| (it.what.as_str(), &it.step)).collect();
    for applied in ["retention.ms", "max.message.bytes", "segment.bytes"] {
        assert_eq!(steps[applied], &Step::Apply, "{applied}");
    }
    for by_hand in ["cleanup.policy", "min.insync.replicas", "replication"] {
        assert!(matches!(steps[by_hand], Step::ByHand(how) if how.contains(".sh")), "{by_hand}: {:?}", steps[by_hand]);
    }
    assert_eq!(steps.len(), 6);
}
