//! What `herald doctor` looks at on Kafka.

use std::path::Path;

use kafka_admin::doctor::{self, Expected, reach};
use runtime::finding::{Finding, Level};

use super::needs::Needs;
use client::exit::{self, Usage};
use settings::Config;

/// Looks at the cluster. The folder is that of a catalog, if not the one on the bus is meant; `probe` allows one record.
///
/// # Errors
/// None in a build that has Kafka.
pub(crate) async fn examine(config: &Config, folder: Option<&Path>, probe: bool) -> Result<Vec<Finding>, Usage> {
    let told = match config.kafka("doctor") {
        Ok(told) => told,
        Err(error) => {
            return Ok(vec![Finding::problem("configuration", error.to_string(), "mend it, and look again")]);
        }
    };
    let mut unknown = None;
    let mut needs = Needs::of_stages("the stages alone");
    // Nobody is asked for a catalog who does not answer.
    let reached = reach(&told).await;
    let answers = reached.iter().any(|finding| finding.level == Level::Ok);
    if answers || folder.is_some() {
        match Needs::find(config, "doctor", folder).await {
            Ok(found) => needs = found,
            Err(error) => {
                let advice = "name its folder, or put it on the bus with `herald catalog apply`";
                unknown = Some(Finding::problem("catalog", exit::told(&error), advice));
            }
        }
    }
    let expected = Expected {
        window: config.detector.window.get(),
        ids: config.detector.ids,
        publish_timeout: config.ingest.publish_timeout.get(),
        specs: needs.specs,
        groups: needs.groups,
        probe,
    };
    let mut found = doctor::examine(&told, &expected, reached).await;
    match unknown {
        Some(unknown) => found.push(unknown),
        None if answers => found.push(Finding::ok("catalog", format!("looked for {}", needs.from))),
        None => {}
    }
    Ok(found)
}
