//! What every bus owes its stages (`bus::Bus`, `bus::Member`), stated once and run against each bus.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cases;
mod embedded;
mod exactly_once;
mod groups;
mod harness;
mod kafka;
mod refusals;

use std::sync::Arc;

use bus::{
    Bus,
    embedded::{Config, Embedded},
    hostile::{Hostile, Manners},
};

/// Runs every case against a bus; each case gets a bus of its own.
macro_rules! suite {
    ($name:ident, $make:expr, [$($module:ident::$case:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (bus, _guard) = $make;
                    tokio::time::timeout(harness::PATIENCE, $module::$case(bus)).await.expect("the case hangs");
                }
            )*
        }
    };
}

macro_rules! every_case {
    ($name:ident, $make:expr) => {
        suite!(
            $name,
            $make,
            [
                cases::a_key_has_one_partition_and_keeps_its_order,
                cases::nothing_is_delivered_before_it_is_opened,
                cases::a_partition_can_be_opened_elsewhere,
                cases::outputs_position_and_note_are_committed_together,
                cases::lines_of_one_commit_are_one_record_of_their_partition,
                cases::a_note_is_printable_text_that_fits,
                cases::what_was_not_committed_comes_again,
                cases::a_share_of_an_older_assignment_is_left_out_and_the_others_stand,
                cases::a_revoked_partition_may_still_commit_and_is_then_handed_over,
                cases::reading_goes_on_while_a_commit_is_under_way,
                cases::a_paused_partition_delivers_nothing,
                cases::a_partition_that_was_paused_when_it_went_delivers_when_it_is_back,
                cases::topics_can_be_added_and_created_later,
                cases::records_are_read_without_a_group_from_any_place,
                cases::a_waiting_reader_is_woken,
                cases::what_is_not_there_cannot_be_read,
                refusals::a_share_that_can_never_be_taken_is_given_back_alone,
                refusals::a_publication_that_can_never_be_taken_says_which_record,
                cases::null_values_and_explicit_partitions_are_kept,
                cases::a_deleted_topic_stops_its_readers,
                groups::lag_is_told_and_advice_counts,
                groups::many_groups_and_places_are_asked_for_at_once,
                groups::who_has_read_everything_has_no_lag,
                groups::a_forgotten_group_starts_anew,
                groups::a_group_begins_where_it_is_said_and_has_a_position_before_it_reads,
                groups::an_idle_group_goes_on_where_it_is_placed,
                cases::what_was_written_before_is_replayed_and_nothing_later,
                groups::who_gives_up_joining_is_no_member,
                exactly_once::members_come_and_go_and_each_record_is_copied_once,
            ]
        );
    };
}

every_case!(embedded_bus, {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { partitions: 4, ..Config::new(folder.path()) };
    (Arc::new(Embedded::open(&config).unwrap()) as Arc<dyn Bus>, folder)
});

every_case!(kafka_bus, kafka::bus());

every_case!(mild_bus, (Arc::new(Hostile::with(1, 4, Manners::MILD)) as Arc<dyn Bus>, ()));
every_case!(rough_bus, (Arc::new(Hostile::with(2, 4, Manners::ROUGH)) as Arc<dyn Bus>, ()));

suite!(
    hostile_bus,
    (Arc::new(Hostile::new(3)) as Arc<dyn Bus>, ()),
    [exactly_once::members_come_and_go_and_each_record_is_copied_once,]
);
