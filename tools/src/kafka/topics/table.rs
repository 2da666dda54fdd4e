//! A plan as a table: what differs, by topic, and below it what to do about what `apply` does not.

use kafka_admin::{
    Done, Plan,
    plan::{Difference, State, Step, TopicPlan},
};

use client::print::{BOLD, DIM};

/// How many times the same is spelled out of a list of topics.
const ROWS: usize = 200;

/// What differs; what is as planned is counted.
pub(super) fn plan(plan: &Plan) -> String {
    let mut table = Table::default();
    for topic in &plan.topics {
        table.add(topic);
    }
    let as_planned = plan.topics.len() - table.topics;
    let mut out = table.lines();
    out.push(match (as_planned, table.topics) {
        (all, 0) => format!("✅ All {all} topics are as planned"),
        (0, some) => format!("{some} topics differ"),
        (rest, some) => format!("{some} topics differ, {rest} are as planned"),
    });
    out.join("\n")
}

/// One thing that was done, or why not.
pub(super) fn done(done: &Done) -> String {
    let Done { name, what, failed } = done;
    match failed {
        None => format!("✅ {BOLD}{name}{BOLD:#}  {what}"),
        Some(reason) => format!("❌ {BOLD}{name}{BOLD:#}  {what}: {reason}"),
    }
}

#[derive(Default)]
struct Table {
    rows: Vec<[String; 5]>,
    notes: Vec<String>,
    topics: usize,
}

impl Table {
    fn add(&mut self, topic: &TopicPlan) {
        match &topic.state {
            State::Missing => {
                let copies = topic.planned.replication.map(|copies| format!(", {copies} copies")).unwrap_or_default();
                let count = topic.planned.partitions;
                let planned = format!("{count} partition{}{copies}", if count == 1 { "" } else { "s" });
                let row = [topic.name.clone(), "topic".into(), "missing".into(), planned, "apply creates it".into()];
                self.rows.push(row);
            }
            State::Exists(_, differences) if differences.is_empty() => return,
            State::Exists(_, differences) => {
                for difference in differences {
                    let Difference { what, is, planned, .. } = difference;
                    let then = self.then(difference);
                    self.rows.push([topic.name.clone(), what.clone(), is.clone(), planned.clone(), then]);
                }
            }
        }
        self.topics += 1;
    }

    fn then(&mut self, difference: &Difference) -> String {
        match &difference.step {
            Step::Apply if difference.what == "partitions" => "apply adds them".to_owned(),
            Step::Apply => "apply sets it".to_owned(),
            Step::ApplyDrained => "apply adds them, if it is drained".to_owned(),
            Step::Refused(why) => format!("refused [{}]", self.note(why)),
            Step::ByHand(how) => format!("by hand [{}]", self.note(how)),
            Step::Left(why) => format!("left as it is [{}]", self.note(why)),
        }
    }

    /// The number of a note; the same one is written once.
    fn note(&mut self, text: &str) -> usize {
        if let Some(place) = self.notes.iter().position(|note| note == text) {
            return place + 1;
        }
        self.notes.push(text.to_owned());
        self.notes.len()
    }

    fn lines(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let head = ["TOPIC", "WHAT", "IS", "PLANNED", "THEN"].map(str::to_owned);
        let shown = &self.rows[..self.rows.len().min(ROWS)];
        let width = |column: usize| {
            let cells = shown.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: [usize; 5] = std::array::from_fn(width);
        let line = |row: &[String; 5]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut out = vec![format!("{DIM}{}{DIM:#}", line(&head))];
        out.extend(shown.iter().map(line));
        if self.rows.len() > ROWS {
            out.push(format!("… and {} more; --json has all", self.rows.len() - ROWS));
        }
        out.push(String::new());
        out.extend(self.notes.iter().enumerate().map(|(index, note)| format!("[{}] {note}", index + 1)));
        if !self.notes.is_empty() {
            out.push(String::new());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bus::{Topic, TopicSpec};
    use kafka::layout::Layout;
    use kafka_admin::{Existing, Replicas, Setting, plan};

    #[test]
    fn a_plan_is_a_table_with_what_to_do_below() {
        let layout = Layout::default();
        let specs = [TopicSpec::new("raw"), TopicSpec::new("event.move.new"), TopicSpec::new("progress")];
        let exists = |spec: &TopicSpec, partitions: usize, retention: &str| {
            let planned = layout.plan(spec);
            let setting = |(key, value): (String, String)| (key, Setting { value, is_own: true });
            let mut settings: BTreeMap<_, _> = planned.config.into_iter().map(setting).collect();
            settings.insert("retention.ms".into(), Setting { value: retention.into(), is_own: true });
            Existing { partitions: vec![Replicas::default(); partitions], settings }
        };
        let existing: BTreeMap<Topic, Existing> = [
            (specs[0].topic.clone(), exists(&specs[0], 3, "604800000")),
            (specs[2].topic.clone(), exists(&specs[2], 12, "3600000")),
        ]
        .into();
        let wanted = plan::Wanted { layout: &layout, prefix: "herald.", specs: &specs, drained: &[] };
        let told = anstream::adapter::strip_str(&super::plan(&plan::of(&wanted, &existing))).to_string();
        insta::assert_snapshot!(told);
    }
}
