//! Who may do what: the commands that give a team its events, and each role of Herald what it needs and no more. Pure.
//!
//! One role alone may write `event.*`: the detector.

use std::fmt;

use contracts::{names::EventRef, topics};

/// What a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Topic,
    /// Consumer groups.
    Group,
    /// Transactional ids.
    TransactionalId,
    /// The cluster itself.
    Cluster,
}

/// What a principal may do with a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub resource: Resource,
    /// Its name, or what its name begins with.
    pub name: String,
    /// Whether it is what names begin with.
    pub is_prefix: bool,
    /// What is allowed.
    pub operations: &'static [&'static str],
}

impl Grant {
    fn exact(resource: Resource, name: String, operations: &'static [&'static str]) -> Self {
        Self { resource, name, is_prefix: false, operations }
    }

    fn prefix(resource: Resource, name: String, operations: &'static [&'static str]) -> Self {
        Self { resource, name, is_prefix: true, operations }
    }
}

/// A pattern that no grant can express.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither an event's name nor the begin of names with one `*` at its end, as in `move.*`; Kafka knows no other \
     patterns, so name the events"
)]
pub struct NoGrant(String);

const READ: &[&str] = &["Read", "Describe"];
const WRITE: &[&str] = &["Write", "Describe"];
const READ_WRITE: &[&str] = &["Read", "Write", "Describe"];

/// What a team needs to read events: the topics, and groups whose names begin with the team's.
///
/// # Errors
/// A pattern that Kafka cannot express.
pub fn team(prefix: &str, team: &str, events: &[String]) -> Result<Vec<Grant>, NoGrant> {
    let topic = |event: &String| {
        let no_grant = || NoGrant(event.clone());
        match event.strip_suffix('*') {
            Some(begin) if begin.chars().all(is_of_a_name) => {
                Ok(Grant::prefix(Resource::Topic, format!("{prefix}{}{begin}", topics::EVENT_PREFIX), READ))
            }
            Some(_) => Err(no_grant()),
            None => {
                let event: EventRef = event.parse().map_err(|_| no_grant())?;
                Ok(Grant::exact(Resource::Topic, format!("{prefix}{}", event.topic()), READ))
            }
        }
    };
    let mut grants: Vec<Grant> = events.iter().map(topic).collect::<Result<_, _>>()?;
    grants.push(Grant::prefix(Resource::Group, format!("{team}."), &["Read"]));
    Ok(grants)
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-')
}

/// What each role of Herald needs, and the operator who runs `herald topics`, `catalog apply` and `doctor`.
pub fn roles(prefix: &str) -> Vec<(&'static str, Vec<Grant>)> {
    let topic = |name: &str, operations| Grant::exact(Resource::Topic, format!("{prefix}{name}"), operations);
    let events = |operations| Grant::prefix(Resource::Topic, format!("{prefix}{}", topics::EVENT_PREFIX), operations);
    let transactions = |role: &str| Grant::prefix(Resource::TransactionalId, format!("{prefix}{role}."), WRITE);
    let ours = |resource, operations| Grant::prefix(resource, prefix.to_owned(), operations);
    let group = |name: &str| Grant::exact(Resource::Group, format!("{prefix}{name}"), &["Read"]);
    vec![
        ("ingest", vec![topic(topics::RAW, WRITE), topic(topics::REJECTED, WRITE), topic(topics::CATALOG, READ)]),
        (
            "detector",
            vec![
                topic(topics::RAW, READ),
                topic(topics::CATALOG, READ),
                topic(topics::SEEN, READ_WRITE),
                events(WRITE),
                topic(topics::PROGRESS, WRITE),
                topic(topics::REJECTED, WRITE),
                topic(topics::STARTS, READ_WRITE),
                group("detector"),
                transactions("detector"),
            ],
        ),
        (
            "job-runner",
            vec![
                events(READ),
                // For jobs whose `input` is the payload that an event was found in.
                topic(topics::RAW, READ),
                topic(topics::CATALOG, READ),
                // What jobs publish by name.
                topic(topics::RAW, WRITE),
                topic(topics::CONTROL, READ),
                topic(topics::PROGRESS, WRITE),
                topic(topics::REJECTED, WRITE),
                topic(topics::STARTS, READ_WRITE),
                Grant::prefix(Resource::Topic, format!("{prefix}{}", topics::LANE_PREFIX), READ_WRITE),
                Grant::prefix(Resource::Topic, format!("{prefix}{}", topics::DEAD_PREFIX), READ_WRITE),
                Grant::prefix(Resource::Group, format!("{prefix}job."), &["Read"]),
                transactions("job-runner"),
            ],
        ),
        (
            "results",
            vec![
                ours(Resource::Topic, &["Read", "Describe", "DescribeConfigs"]),
                topic(topics::COMPLETED, WRITE),
                topic(topics::CONTROL, WRITE),
                group("results"),
                ours(Resource::Group, &["Describe"]),
                transactions("results"),
            ],
        ),
        (
            "operator",
            vec![
                ours(Resource::Topic, &["Create", "Alter", "AlterConfigs", "Read", "Describe", "DescribeConfigs"]),
                topic(topics::CATALOG, WRITE),
                topic(topics::STARTS, WRITE),
                // `doctor --probe` writes into a topic of its own.
                Grant::prefix(Resource::Topic, format!("{prefix}doctor."), &["Write", "Delete"]),
                ours(Resource::Group, &["Describe", "Delete"]),
                Grant::exact(Resource::Cluster, String::new(), &["Describe", "DescribeConfigs"]),
            ],
        ),
    ]
}

/// One grant to one principal, shown as the command that gives it.
pub struct Acl<'a> {
    /// Where the cluster is.
    pub brokers: &'a str,
    /// Further options of the command, as in `--command-config admin.properties`.
    pub options: &'a str,
    /// Who, as in `User:team`.
    pub principal: &'a str,
    pub grant: &'a Grant,
}

impl fmt::Display for Acl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, options, principal, grant } = self;
        write!(f, "kafka-acls.sh --bootstrap-server {brokers} ")?;
        if !options.is_empty() {
            write!(f, "{options} ")?;
        }
        write!(f, "--add --allow-principal {}", quoted(principal))?;
        for operation in grant.operations {
            write!(f, " --operation {operation}")?;
        }
        let kind = match grant.resource {
            Resource::Topic => "--topic",
            Resource::Group => "--group",
            Resource::TransactionalId => "--transactional-id",
            Resource::Cluster => return f.write_str(" --cluster"),
        };
        // An empty begin is every name, which Kafka writes as a star.
        match (grant.is_prefix, grant.name.as_str()) {
            (true, "") => write!(f, " {kind} '*'"),
            (true, name) => write!(f, " {kind} {} --resource-pattern-type prefixed", quoted(name)),
            (false, name) => write!(f, " {kind} {}", quoted(name)),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '=' | ',');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(grants: &[Grant]) -> Vec<String> {
        let acl = |grant| Acl { brokers: "h:9092", options: "", principal: "User:billing", grant }.to_string();
        grants.iter().map(acl).collect()
    }

    #[test]
    fn a_team_reads_its_events_with_groups_of_its_own_name() {
        let events = ["move.new".to_owned(), "move.new.v2".to_owned(), "order.*".to_owned()];
        let add = "kafka-acls.sh --bootstrap-server h:9092 --add --allow-principal User:billing";
        assert_eq!(
            shown(&team("herald.", "billing", &events).expect("grants")),
            [
                format!("{add} --operation Read --operation Describe --topic herald.event.move.new"),
                format!("{add} --operation Read --operation Describe --topic herald.event.move.new.v2"),
                format!(
                    "{add} --operation Read --operation Describe --topic herald.event.order. --resource-pattern-type prefixed"
                ),
                format!("{add} --operation Read --group billing. --resource-pattern-type prefixed"),
            ]
        );
    }

    #[test]
    fn a_pattern_that_kafka_cannot_express_is_refused() {
        for wrong in ["*.new", "move..new", "mo*e.new", "a b", "", "$(x)*"] {
            assert!(team("herald.", "billing", &[wrong.to_owned()]).is_err(), "{wrong:?}");
        }
        assert_eq!(team("", "t", &["*".to_owned()]).expect("every event")[0].name, "event.");
    }

    #[test]
    fn only_the_detector_writes_events() {
        for (role, grants) in roles("herald.") {
            let writes = grants.iter().filter(|grant| grant.resource == Resource::Topic).any(|grant| {
                let covers = if grant.is_prefix { "herald.event.x".starts_with(&grant.name) } else { false };
                covers && grant.operations.contains(&"Write")
            });
            assert_eq!(writes, role == "detector", "{role}");
        }
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        let grant = Grant::exact(Resource::Cluster, String::new(), &["Describe"]);
        let acl = Acl { brokers: "h:1", options: "--command-config a", principal: "User:CN=it's me", grant: &grant };
        assert_eq!(
            acl.to_string(),
            r"kafka-acls.sh --bootstrap-server h:1 --command-config a --add --allow-principal 'User:CN=it'\''s me' --operation Describe --cluster"
        );
    }
}
