use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn event(name: &str) -> TopicSpec {
    TopicSpec::new(format!("event.{name}"))
}

fn of(layout: &Layout, spec: &TopicSpec, key: &str) -> String {
    layout.plan(spec).config[key].clone()
}

#[test]
fn every_kind_has_its_settings() {
    let layout = Layout::default();
    assert_eq!(layout.check(), Ok(()));
    let raw = layout.plan(&TopicSpec::new("raw"));
    assert_eq!((raw.partitions, raw.replication), (6, None));
    assert_eq!(raw.config["retention.ms"], (7 * 24 * 3_600_000).to_string());
    assert_eq!(raw.config["cleanup.policy"], "delete");
    let table = layout.plan(&TopicSpec::table("catalog"));
    assert_eq!((table.partitions, table.config["retention.ms"].as_str()), (1, "-1"));
    assert_eq!(table.config["cleanup.policy"], "compact");
}

#[test]
fn the_longest_pattern_that_fits_wins_over_the_kind() {
    let mut layout = Layout::default();
    let wide = Overrides { partitions: Some(12), retention: Some(Keep::Ever), ..Overrides::default() };
    layout.names.insert("event.move.*".into(), wide);
    let exact = Overrides { partitions: Some(24), replication: Some(3), ..Overrides::default() };
    layout.names.insert("event.move.pickup.*".into(), exact);
    assert_eq!(layout.check(), Ok(()));
    assert_eq!(layout.plan(&event("order.new")).partitions, 6);
    assert_eq!(layout.plan(&event("move.new")).partitions, 12);
    assert_eq!(of(&layout, &event("move.new"), "retention.ms"), "-1");
    let pickup = layout.plan(&event("move.pickup.successful"));
    assert_eq!((pickup.partitions, pickup.replication), (24, Some(3)));
    // Only one pattern counts: what it does not say is the kind's.
    assert_eq!(pickup.config["retention.ms"], (7 * 24 * 3_600_000).to_string());
}

#[test]
fn seen_has_as_many_partitions_as_raw_whatever_is_said_of_raw() {
    let mut layout = Layout::default();
    layout.names.insert("raw".into(), Overrides { partitions: Some(9), ..Overrides::default() });
    assert_eq!(layout.plan(&TopicSpec::new("seen")).partitions, 9);
    layout.names.insert("seen".into(), Overrides { partitions: Some(9), ..Overrides::default() });
    assert_eq!(layout.check(), Err(LayoutError::SeenFollowsRaw("seen".into())));
}

#[test]
fn free_settings_win_the_nearest_last() {
    let mut layout = Layout::default();
    layout.config.insert("segment.ms".into(), "1".into());
    layout.config.insert("min.insync.replicas".into(), "2".into());
    let mut near = Overrides::default();
    near.config.insert("segment.ms".into(), "3".into());
    layout.names.insert("raw".into(), near);
    assert_eq!(of(&layout, &TopicSpec::new("raw"), "segment.ms"), "3");
    assert_eq!(of(&layout, &TopicSpec::new("raw"), "min.insync.replicas"), "2");
    assert_eq!(of(&layout, &TopicSpec::new("seen"), "segment.ms"), "1");
}

#[test]
fn what_would_lose_records_is_refused() {
    let with = |change: &dyn Fn(&mut Layout)| {
        let mut layout = Layout::default();
        change(&mut layout);
        layout.check().expect_err("refused")
    };
    let kind = |kind: Kind, change: &dyn Fn(&mut Settings)| {
        with(&|layout| layout.kinds.get_mut(&kind).map(change).expect("every kind"))
    };
    assert_eq!(kind(Kind::Raw, &|it| it.partitions = 0), LayoutError::NoPartitions("raw".into()));
    assert_eq!(kind(Kind::Raw, &|it| it.compacted = Some(true)), LayoutError::Compaction("raw".into()));
    assert_eq!(kind(Kind::Table, &|it| it.partitions = 3), LayoutError::TableOfMany("table".into(), 3));
    assert_eq!(kind(Kind::Table, &|it| it.retention = Some(HOUR)), LayoutError::TableForgets("table".into()));
    assert_eq!(kind(Kind::Event, &|it| it.max_record = Some(5)), LayoutError::TooSmall("event".into(), 5));
    assert_eq!(kind(Kind::Seen, &|it| it.partitions = 9), LayoutError::SeenFollowsRaw("seen".into()));
    assert_eq!(with(&|layout| layout.replication = Some(0)), LayoutError::NoReplica("topics".into()));
    let set = |key: &str, value: &str| with(&|layout| drop(layout.config.insert(key.into(), value.into())));
    assert!(matches!(set("cleanup.policy", "compact"), LayoutError::OwnKey(_, _, "compacted")));
    assert!(matches!(set("unclean.leader.election.enable", "true"), LayoutError::Forbidden(..)));
    // A log may be compacted: the last summary of each correlation.
    let mut layout = Layout::default();
    layout.names.insert("completed".into(), Overrides { compacted: Some(true), ..Overrides::default() });
    assert_eq!(layout.check(), Ok(()));
    assert_eq!(of(&layout, &TopicSpec::new("completed"), "cleanup.policy"), "compact");
}
