//! The guarantee that everything else rests on: no hop loses or doubles a record, whatever happens between.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bus::{Bus, Delivery, Outgoing, Share, Subscription};

use crate::harness::*;

const RECORDS: usize = 3000;

/// Copies `in` to `out`, naming each record's place, until told to stop or to die.
async fn copy(bus: Arc<dyn Bus>, stop: Arc<AtomicBool>, copied: Arc<AtomicUsize>, lives: usize) {
    let member = bus.join("copy", Subscription::to(["in"])).await.unwrap();
    let mut commits = 0;
    while !stop.load(Ordering::Acquire) && commits < lives {
        let told = tokio::select! {
            told = member.next() => told.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => continue,
        };
        match told {
            Delivery::Assigned(assignments) => open_all(&*member, &assignments),
            Delivery::Records(partition, generation, records) => {
                let position = position_after(records.last().unwrap());
                let name = |record: &bus::Record| format!("{}@{}", record.at(), record.offset);
                let outputs: Vec<Outgoing> =
                    records.iter().map(|record| Outgoing::new("out", name(record), text(record))).collect();
                let count = outputs.len();
                let share = Share { partition, generation, outputs, position };
                let committed = member.commit(vec![share]).await.unwrap();
                if committed == bus::Committed::default() {
                    copied.fetch_add(count, Ordering::AcqRel);
                }
                commits += 1;
            }
            Delivery::Revoking { partitions, .. } => member.release(&partitions),
            Delivery::Lost(_) => {}
        }
    }
}

pub(crate) async fn members_come_and_go_and_each_record_is_copied_once(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    let (stop, copied) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let (bus, stop, copied) = (bus.clone(), stop.clone(), copied.clone());
            tokio::spawn(async move {
                // Each life ends as a crash does: the member is dropped with records in hand.
                for life in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    copy(bus.clone(), stop.clone(), copied.clone(), 3 + (worker * 7 + life) % 11).await;
                }
            })
        })
        .collect();
    for number in 0..RECORDS {
        // A refused publication is made again, as a caller would: it may then be in the log twice.
        let record = Outgoing::new("in", format!("{}", number % 17), format!("{number}"));
        while bus.publish(vec![record.clone()]).await.is_err() {}
    }
    let published = all(&bus, "in").await;
    loop {
        let lag: u64 = bus.lag("copy").await.unwrap().iter().map(|lag| lag.records).sum();
        if lag == 0 && all(&bus, "out").await.len() >= published.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Release);
    for worker in workers {
        worker.await.unwrap();
    }
    let mut copies: HashMap<String, usize> = HashMap::new();
    for record in all(&bus, "out").await {
        *copies.entry(String::from_utf8(record.key.unwrap().to_vec()).unwrap()).or_default() += 1;
    }
    for record in &published {
        let name = format!("{}@{}", record.at(), record.offset);
        assert_eq!(copies.remove(&name), Some(1), "{name}");
    }
    assert!(copies.is_empty(), "copies of nothing: {copies:?}");
    assert!(published.len() >= RECORDS && copied.load(Ordering::Acquire) <= published.len());
}
