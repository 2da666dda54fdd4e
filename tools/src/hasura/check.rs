//! What a catalog needs, held against the triggers that there are. A function of the two.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Catalog, Event, OPERATIONS, Operation, Selector, Table, Tables};
use runtime::finding::Finding;

use super::{
    metadata::{Found, Metadata, Told},
    needs::Columns,
    webhook::{Refused, Webhook},
    write::Address,
};

/// Which triggers are Herald's, and what they are to have.
pub(super) struct Wanted<'w> {
    /// Where Herald is, if that was said; otherwise it is known by its path.
    pub(super) address: Option<&'w Address>,
    /// The header of the secret, unless there is none.
    pub(super) secret: Option<&'w str>,
    /// The database of the events that name no source, if that was said.
    pub(super) database: Option<&'w str>,
}

/// A trigger that delivers to Herald, and the source that its changes have there.
struct Delivers<'m> {
    found: &'m Found,
    source: String,
    /// As far as it stands in the metadata.
    webhook: Option<Webhook>,
}

/// What is missing (problems), and what is risky or for nobody (warnings).
pub(super) fn check(catalog: &Catalog, metadata: &Metadata, wanted: &Wanted<'_>) -> Vec<Finding> {
    let delivers: Vec<Delivers<'_>> = metadata.triggers.iter().filter_map(|found| wanted.delivers(found)).collect();
    let mut findings = missing(catalog, metadata, &delivers, wanted.database);
    findings.extend(delivers.iter().filter_map(Delivers::refused));
    let is_complete = findings.is_empty();
    for one in &delivers {
        findings.extend(unwanted(catalog, one));
        findings.extend(one.risks());
        findings.extend(wanted.risks(one.found));
    }
    findings.extend(doubled(catalog, &delivers));
    let guessed: Vec<&str> = wanted.guessed(&delivers).into_iter().collect();
    if guessed.len() > 1 {
        let places = guessed.join(", ");
        let what = format!("triggers deliver to {} places that may be Herald, and all count: {places}", guessed.len());
        findings.push(Finding::warning("webhook", what, "say which one Herald is: --url http://…"));
    }
    if is_complete {
        let events = catalog.events().iter().filter(|event| event.selector().is_some()).count();
        let are = if events == 1 { "is" } else { "are" };
        let as_far_as = match guessed.as_slice() {
            [only] => format!(", if {only} is Herald (--url says who is)"),
            _ => String::new(),
        };
        let told =
            format!("{events} of the catalog's events {are} about tables, and nothing of that is missing{as_far_as}");
        findings.push(Finding::ok("triggers", told));
    }
    findings
}

impl Wanted<'_> {
    /// Whom the triggers that count deliver to, where nobody said who Herald is: a path that ends in `/hasura` may be another's.
    fn guessed<'d>(&self, delivers: &'d [Delivers<'_>]) -> BTreeSet<&'d str> {
        let bases = delivers.iter().filter_map(|one| Some(one.webhook.as_ref()?.base.as_str()));
        if self.address.is_none() { bases.collect() } else { BTreeSet::new() }
    }

    fn delivers<'m>(&self, found: &'m Found) -> Option<Delivers<'m>> {
        // A variable in braces may be all of the webhook, too.
        let whole = found.webhook.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let variable = whole.unwrap_or(&found.variable);
        let by_variable = match self.address {
            Some(Address::Variable(name)) => variable == name,
            Some(Address::Base(_)) => false,
            None => variable.to_ascii_uppercase().contains("HERALD"),
        };
        if by_variable {
            return Some(Delivers { found, source: found.database.clone(), webhook: None });
        }
        let webhook = match self.address {
            Some(Address::Base(base)) => Webhook::at(&found.webhook, base)?,
            Some(Address::Variable(_)) => return None,
            None => Webhook::of(&found.webhook)?,
        };
        Some(Delivers { found, source: webhook.source.clone(), webhook: Some(webhook) })
    }

    fn risks(&self, found: &Found) -> Vec<Finding> {
        let Found { name, table, .. } = found;
        let mut risks = Vec::new();
        let mut risk = |check, what: String, advice: &str| risks.push(Finding::warning(check, what, advice));
        if found.retries == 0 {
            let what = format!("{name} on {table} is tried once: what happens while Herald is away is lost to it");
            risk("retries", what, "set `retry_conf.num_retries`");
        }
        if let Some(secret) = self.secret {
            match found.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(secret)) {
                None => {
                    let what = format!("{name} on {table} sends no header {secret}");
                    risk("secret", what, "Herald answers 401 unless it has no secret; then say --no-secret here");
                }
                Some((_, true)) => {
                    let what = format!("{name} on {table} has the secret in plain text");
                    risk("secret", what, "write `value_from_env` instead of `value`");
                }
                Some(_) => {}
            }
        }
        for part in &found.transforms {
            let advice = format!("leave `request_transform.{part}` out");
            let (check, what, advice) = match *part {
                "body" => (
                    "body",
                    "sends another body than Hasura's own",
                    format!("Herald refuses what is no delivery of Hasura's: {advice}"),
                ),
                "method" => {
                    ("webhook", "sends another method than Hasura's own", format!("Herald takes a POST: {advice}"))
                }
                _ => (
                    "webhook",
                    "sends its deliveries to another URL than its webhook",
                    format!("write the URL into `webhook`, and {advice}"),
                ),
            };
            risk(check, format!("{name} on {table} {what}"), &advice);
        }
        risks
    }
}

impl Delivers<'_> {
    fn tells(&self, operation: Operation) -> Option<&Told> {
        self.found.told.iter().find(|told| told.operation == operation)
    }

    /// That Herald takes none of its deliveries, where that is so.
    fn refused(&self) -> Option<Finding> {
        let Refused { status, because, advice } = self.webhook.as_ref()?.refused.as_ref()?;
        let Found { name, table, .. } = self.found;
        let what = format!("Herald answers {status} to all that {name} on {table} sends: {because}");
        Some(Finding::problem("webhook", what, advice))
    }

    /// What is risky about the URL.
    fn risks(&self) -> Vec<Finding> {
        let Found { name, table, .. } = self.found;
        let Some(webhook) = &self.webhook else { return Vec::new() };
        let waits = webhook.waits.then(|| {
            let what = format!("{name} on {table} waits with each delivery until all that it caused has ended");
            let advice = "leave `?wait` out of its URL: all triggers share Hasura's connections, and a change is durable at once";
            Finding::warning("wait", what, advice)
        });
        let has_user = webhook.has_user.then(|| {
            let what = format!("{name} on {table} has a user and a password in its URL, which Herald does not look at");
            Finding::warning("secret", what, "leave them out: the secret is a header's, with `value_from_env`")
        });
        waits.into_iter().chain(has_user).collect()
    }

    /// Whether what it delivers is what an event looks at, as far as its selector goes.
    fn is_for(&self, selector: &Selector) -> bool {
        let Table { schema, name } = &self.found.table;
        selector.tables.includes(schema, name)
            && selector.source.as_ref().is_none_or(|source| *source == self.source)
            && selector.trigger.as_ref().is_none_or(|trigger| *trigger == self.found.name)
    }
}

/// What is wrong, and with what it is wrong for each event: one finding for all of them.
type Grouped = BTreeMap<String, BTreeSet<String>>;

fn missing(catalog: &Catalog, metadata: &Metadata, delivers: &[Delivers<'_>], database: Option<&str>) -> Vec<Finding> {
    let (mut untracked, mut grouped) = (Grouped::new(), Grouped::new());
    for event in catalog.events() {
        // An event on all tables takes what comes.
        let Some(selector @ Selector { tables: Tables::These(tables), .. }) = event.selector() else { continue };
        let is_there = |found: &str| selector.source.is_some() || database.is_none_or(|database| database == found);
        for table in tables {
            if !metadata.tables.iter().any(|tracked| tracked.table == *table && is_there(&tracked.database)) {
                let place =
                    database.filter(|_| selector.source.is_none()).map(|name| format!(" of the database {name}"));
                let place = place.unwrap_or_default();
                let what = format!("Hasura does not track {table}{place}, as far as this metadata goes");
                untracked.entry(what).or_default().insert(event.name().to_string());
                continue;
            }
            let is_own = |one: &&Delivers<'_>| {
                one.found.table == *table && is_there(&one.found.database) && one.is_for(selector)
            };
            let own: Vec<_> = delivers.iter().filter(is_own).collect();
            for operation in OPERATIONS.into_iter().filter(|operation| event.listens_to(*operation)) {
                if let Some((what, place)) = lacks(event, selector, table, operation, &own) {
                    grouped.entry(what).or_default().insert(place);
                }
            }
        }
    }
    let track = "track the table in Hasura, or give the table the name that it has there";
    let print = "`herald hasura triggers` without --check prints the triggers that are needed";
    let found =
        untracked.into_iter().map(|found| (found, track)).chain(grouped.into_iter().map(|found| (found, print)));
    found
        .map(|((what, events), advice)| events.into_iter().fold(Finding::problem("missing", what, advice), Finding::at))
        .collect()
}

/// What an event lacks of changes of this kind, if it does: what is wrong, and what it would need.
fn lacks(
    event: &Event,
    selector: &Selector,
    table: &Table,
    operation: Operation,
    own: &[&Delivers<'_>],
) -> Option<(String, String)> {
    let name = event.name();
    let telling: Vec<_> = own.iter().filter_map(|one| Some((one.found, one.tells(operation)?))).collect();
    let Some((found, told)) = telling.first() else {
        let of_source = selector.source.as_ref().map(|source| format!(" as of the source {source}"));
        let of_trigger = selector.trigger.as_ref().map(|trigger| format!(" by the name of {trigger}"));
        let so = [of_source, of_trigger].into_iter().flatten().collect::<String>();
        return Some((format!("no trigger tells Herald of {operation} on {table}{so}"), name.to_string()));
    };
    if !telling.iter().any(|(_, told)| hears(event, &told.listens)) {
        let what = format!("{} tells of {operation} on {table} only if {} changed", found.name, listed(&told.listens));
        let wanted = event.when().and_then(|when| when.wanted_changes());
        let wants = match wanted {
            Some(columns) => columns.into_iter().collect::<Vec<_>>().join(" or "),
            None => "whatever changed".to_owned(),
        };
        return Some((what, format!("{name} (wants {wants})")));
    }
    let looks_at = event.looks_at()?;
    let unsent = |told: &Told| -> Vec<String> {
        match &told.sends {
            Columns::All => Vec::new(),
            Columns::These(sent) => looks_at.iter().filter(|column| !sent.contains(*column)).cloned().collect(),
        }
    };
    let columns = telling.iter().map(|(_, told)| unsent(told)).min_by_key(Vec::len)?;
    (!columns.is_empty()).then(|| {
        let what = format!("{} leaves columns out of what it sends of {operation} on {table} (`payload`)", found.name);
        (what, format!("{name} (wants {})", columns.join(", ")))
    })
}

/// Whether each update in which the event happens is told.
fn hears(event: &Event, listens: &Columns) -> bool {
    match listens {
        Columns::All => true,
        Columns::These(columns) => {
            event.when().is_some_and(|when| when.holds_only_with_changes(&|column| columns.contains(column)))
        }
    }
}

fn listed(columns: &Columns) -> String {
    match columns {
        Columns::All => "*".to_owned(),
        Columns::These(columns) => columns.iter().cloned().collect::<Vec<_>>().join(" or "),
    }
}

fn is_about(event: &Event, one: &Delivers<'_>, operation: Operation) -> bool {
    event.listens_to(operation) && event.selector().is_some_and(|selector| one.is_for(selector))
}

/// What comes for nobody. A manual invocation comes only when somebody wants it.
fn unwanted(catalog: &Catalog, one: &Delivers<'_>) -> Option<Finding> {
    let told = one.found.told.iter().map(|told| told.operation).filter(|operation| *operation != Operation::Manual);
    let for_nobody = |operation: &Operation| !catalog.events().iter().any(|event| is_about(event, one, *operation));
    let operations: Vec<String> = told.filter(for_nobody).map(|operation| operation.to_string()).collect();
    if operations.is_empty() {
        return None;
    }
    let Found { name, table, .. } = one.found;
    let what = format!("{name} tells Herald of {} on {table}, and no event is about that", operations.join(", "));
    Some(Finding::warning("unwanted", what, "leave it out of the trigger, or write the event that was meant"))
}

/// Triggers that tell the same event of the same change.
fn doubled(catalog: &Catalog, delivers: &[Delivers<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, one) in delivers.iter().enumerate() {
        for other in delivers[at + 1..].iter().filter(|other| other.found.database == one.found.database) {
            let twice = |event: &&Event| {
                let is_told = |operation: &Operation| {
                    [one, other]
                        .into_iter()
                        .all(|one| one.tells(*operation).is_some() && is_about(event, one, *operation))
                };
                one.found.table == other.found.table && OPERATIONS.iter().any(is_told)
            };
            let events: Vec<&Event> = catalog.events().iter().filter(twice).collect();
            if !events.is_empty() {
                let (a, b, table) = (&one.found.name, &other.found.name, &one.found.table);
                let what = format!("{a} and {b} both tell of {table}: these events are detected twice for one change");
                let finding = Finding::warning("twice", what, "make one trigger of the two");
                findings.push(events.iter().fold(finding, |finding, event| finding.at(event.name().to_string())));
            }
        }
    }
    findings
}
