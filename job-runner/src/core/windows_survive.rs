//! Windows under any schedule: whatever is killed, revoked, refused and rebuilt, each event ends once, nothing is superseded but by a
//! later event of its window that runs, and those of one value stay in order.

use std::{collections::BTreeSet, time::Duration};

use catalog::{Common, Deliver, Gathering, Order};
use contracts::progress::AttemptState;
use proptest::prelude::*;

use super::{
    survives::{Place, Shape, World, shapes},
    tests::plan,
    *,
};

const LIMITS: Limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };

fn gathering(by: Option<&str>) -> Gathering {
    let by = by.map(|by| Common::compile(&[by]).expect("an expression"));
    Gathering { by, quiet: Some(Duration::from_secs(2)), most: Duration::from_secs(5), deliver: Deliver::Last }
}

fn world(by: Option<&str>, order: Order, limits: Limits, shapes: &[Vec<Shape>]) -> World {
    let mut world = World::of(Plan { gathering: Some(gathering(by)), order, ..plan("work") }, limits, shapes);
    world.advance();
    world
}

fn settle(world: &mut World) {
    loop {
        let moved = world.rebuild() | world.deliver(0, 64) | world.read() | world.end(0) | world.commit((0, false));
        world.advance();
        if !moved && world.commit.is_none() {
            break;
        }
    }
}

/// What was superseded leads to an event that ran.
fn check(world: &World, has_by: bool) {
    world.check();
    let value_of = |place: &Place| {
        let (_, shape) = world.inputs[&place.0].iter().find(|(record, _)| record.offset == place.1).expect("one");
        if has_by { shape.0 / 2 } else { shape.0 }
    };
    for (place, ends) in &world.ends {
        let is_superseded = ends == &[AttemptState::Superseded];
        assert_eq!(is_superseded, world.successors.contains_key(place), "{place:?} ended as {ends:?}");
        // What began before the job had windows, and was given back, may come into one.
        assert!(
            world.launched.contains_key(place) || is_superseded || world.is_refused(place),
            "{place:?} never began"
        );
        let Some(next) = world.successors.get(place) else { continue };
        assert!(next.0 == place.0 && next.1 > place.1, "{place:?} was superseded by {next:?}");
        assert_eq!(value_of(next), value_of(place));
        assert!(!world.is_refused(next), "{place:?} was superseded by what the bus refused");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn each_event_ends_once_and_the_last_of_a_window_runs(
        shapes in shapes(),
        steps in prop::collection::vec((0..14_u8, any::<usize>(), 1..40_usize), 0..400),
        may_be_edited in any::<bool>(),
        in_order in any::<bool>(),
        has_by in any::<bool>(),
        queue_records in 1..12_usize,
    ) {
        let order = if in_order { Order::Key } else { Order::None };
        let limits = Limits { queue_records, queue_bytes: 20_000 };
        let mut world = world(has_by.then_some("data.by"), order, limits, &shapes);
        let is_edited = may_be_edited && steps.iter().any(|(what, _, count)| *what == 13 && *count > 30);
        for (what, pick, count) in steps {
            match what {
                12 => drop(world.refuse(pick)),
                13 if count > 30 && may_be_edited => {
                    // The job loses its windows, or has them again.
                    let gathering = match &world.plan.gathering {
                        Some(_) => None,
                        None => Some(gathering(has_by.then_some("data.by"))),
                    };
                    if has_by && in_order {
                        continue;
                    }
                    world.plan = Arc::new(Plan { gathering, attempts: 4, concurrency: 3, order, ..plan("work") });
                    world.core.replan(world.plan.clone());
                }
                13 => world.pass(Duration::from_millis(count as u64 * 100)),
                what => world.step((what, pick, count), limits),
            }
            world.advance();
        }
        world.drain();
        if is_edited { check(&world, has_by) } else { check_strictly(&world) }
    }
}

/// Without an edit of the job, what is superseded never began.
fn check_strictly(world: &World) {
    check(world, world.has_by());
    world.successors.keys().for_each(|place| assert!(!world.launched.contains_key(place), "{place:?} began"));
}

fn ended(world: &World, state: AttemptState) -> BTreeSet<u64> {
    let is_so = |(_, ends): &(&Place, &Vec<AttemptState>)| **ends == [state];
    world.ends.iter().filter(is_so).map(|((_, offset), _)| offset.0).collect()
}

#[test]
fn the_last_runs_when_nothing_more_has_come_for_a_while_and_each_one_begins_that_anew() {
    let mut world = world(None, Order::Key, LIMITS, &[vec![(0, 0), (1, 0), (0, 0), (0, 0)]]);
    world.rebuild();
    world.advance();
    world.deliver(0, 2);
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(world.core.counts().gathering, 2);
    world.pass(Duration::from_millis(1500));
    world.deliver(0, 1);
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(ended(&world, AttemptState::Superseded), [0].into(), "it is told at once");
    world.pass(Duration::from_millis(1500));
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2].into(), "the other key alone");
    world.deliver(0, 1);
    world.advance();
    settle_without_delivery(&mut world);
    world.pass(Duration::from_millis(1999));
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2].into(), "a third began the quiet time again");
    world.pass(Duration::from_millis(1));
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2, 6].into());
    check(&world, world.has_by());
}

fn settle_without_delivery(world: &mut World) {
    loop {
        let moved = world.rebuild() | world.read() | world.end(0) | world.commit((0, false));
        world.advance();
        if !moved && world.commit.is_none() {
            break;
        }
    }
}

#[test]
fn a_window_ends_at_the_latest_after_its_most() {
    let mut world = world(None, Order::Key, LIMITS, &[vec![(0, 0); 5]]);
    world.rebuild();
    world.advance();
    for _ in 0..4 {
        world.deliver(0, 1);
        world.advance();
        settle_without_delivery(&mut world);
        world.pass(Duration::from_millis(1500));
        world.advance();
        settle_without_delivery(&mut world);
    }
    assert_eq!(ended(&world, AttemptState::Succeeded), [6].into(), "five seconds have passed since the first");
    world.deliver(0, 1);
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(ended(&world, AttemptState::Superseded), [0, 2, 4].into());
    world.drain();
    check(&world, world.has_by());
}

#[test]
fn a_restart_begins_no_second_quiet_time() {
    let mut world = world(Some("data.by"), Order::Key, LIMITS, &[vec![(0, 0), (1, 0)]]);
    settle(&mut world);
    world.pass(Duration::from_millis(1200));
    world.begin(LIMITS);
    world.advance();
    settle(&mut world);
    let wait = world.core.next_due().expect("it waits").duration_since(world.now.steady);
    assert_eq!(wait, Duration::from_millis(800));
    assert_eq!(world.core.counts().gathering, 1);
    world.pass(wait);
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2].into());
    check(&world, world.has_by());
}

#[test]
fn an_event_that_the_bus_refuses_takes_nobodys_place() {
    let mut world = world(None, Order::Key, LIMITS, &[vec![(0, 0), (0, 0)]]);
    world.rebuild();
    world.advance();
    world.deliver(0, 1);
    world.advance();
    settle_without_delivery(&mut world);
    world.deliver(0, 1);
    world.advance();
    assert!(world.refuse(0), "the second is about to be moved to the lane");
    world.advance();
    settle_without_delivery(&mut world);
    assert_eq!(ended(&world, AttemptState::Failed), [2].into());
    world.drain();
    assert_eq!(ended(&world, AttemptState::Succeeded), [0].into(), "the first runs in its stead");
    check(&world, world.has_by());
}

#[test]
fn what_waits_in_windows_runs_at_once_when_the_job_has_none_any_more() {
    let mut world = world(Some("data.by"), Order::Key, LIMITS, &[vec![(0, 0), (2, 0), (0, 0)]]);
    settle(&mut world);
    assert_eq!(world.core.counts().gathering, 2);
    world.plan = Arc::new(Plan { attempts: 4, ..plan("work") });
    world.core.replan(world.plan.clone());
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2, 4].into());
    assert_eq!(ended(&world, AttemptState::Superseded), [0].into());
}

#[test]
fn an_event_whose_value_is_null_is_for_itself_and_one_that_has_none_fails() {
    for (by, state) in [("data.by == 7 ? 1 : null", AttemptState::Succeeded), ("data.nothing", AttemptState::Failed)] {
        let mut world = world(Some(by), Order::None, LIMITS, &[vec![(0, 0), (0, 0)]]);
        settle(&mut world);
        assert_eq!(ended(&world, state), [0, 2].into(), "{by}");
    }
}

#[test]
fn a_paused_job_runs_what_its_windows_have_when_it_goes_on() {
    let mut world = world(None, Order::Key, LIMITS, &[vec![(0, 0), (0, 0)]]);
    settle(&mut world);
    world.core.hold(true);
    world.pass(Duration::from_secs(9));
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [].into());
    world.core.hold(false);
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world, AttemptState::Succeeded), [2].into());
    check(&world, world.has_by());
}
