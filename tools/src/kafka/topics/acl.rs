//! `herald topics acl`: the commands that let a team read its events, and Herald's roles do their work.

use std::process::ExitCode;

use clap::Args;
use kafka_admin::{Acl, Grant, roles, team};

use client::{exit::Usage, print};
use settings::{BusOptions, Config};

/// What `herald topics acl` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// The team: its principal is `User:<team>`, and its groups begin with its name and a dot
    #[arg(required_unless_present = "herald", conflicts_with = "herald", value_name = "TEAM")]
    team: Option<String>,
    /// Names of events, as in move.new or move.new.v2, or what names begin with, as in 'move.*'
    #[arg(required_unless_present = "herald", value_name = "EVENT")]
    events: Vec<String>,
    /// For Herald's own roles, and for the operator who runs the tools
    #[arg(long)]
    herald: bool,
    /// The principal, where {} stands for the team or the role [default: User:{}, for roles User:herald-{}]
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    #[command(flatten)]
    bus: BusOptions,
}

/// Prints them; no broker is asked.
///
/// # Errors
/// A pattern that Kafka cannot express, or the configuration cannot be used.
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let config = Config::load(settings::layers(&options.bus)?)?;
    for line in lines(&config, options)? {
        print::line(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(config: &Config, options: &Options) -> Result<Vec<String>, Usage> {
    let kafka = &config.bus.kafka;
    let brokers = match kafka.brokers.to_string() {
        none if none.is_empty() => "\"$BROKERS\"".to_owned(),
        brokers => brokers,
    };
    let is_secured = kafka.properties.names().any(|name| name == "security.protocol");
    let commands = |whom: &str, template: &str, grants: &[Grant]| -> Vec<String> {
        let principal = template.replace("{}", whom);
        let options = if is_secured { "--command-config admin.properties" } else { "" };
        let command = |grant| Acl { brokers: &brokers, options, principal: &principal, grant }.to_string();
        grants.iter().map(command).collect()
    };
    let Some(name) = &options.team else {
        let template = options.principal.as_deref().unwrap_or("User:herald-{}");
        let mut out = Vec::new();
        for (role, grants) in roles(&kafka.prefix) {
            out.push(format!("# {role}"));
            out.extend(commands(role, template, &grants));
        }
        return Ok(out);
    };
    let is_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(is_named) {
        return Err(Usage(format!("{name:?} is no team: letters, digits, '.', '_' and '-' make its name")));
    }
    let grants = team(&kafka.prefix, name, &options.events).map_err(|error| Usage(error.to_string()))?;
    Ok(commands(name, options.principal.as_deref().unwrap_or("User:{}"), &grants))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use runtime::config::Layers;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn told(line: &[&str]) -> Result<Vec<String>, String> {
        let options = Line::try_parse_from(["acl"].iter().chain(line)).map_err(|error| error.to_string())?.options;
        let config = Config::load(Layers::new(settings::DEFAULTS)).expect("the defaults");
        lines(&config, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commands_for_a_team_and_for_herald_are_these() {
        insta::assert_snapshot!(told(&["billing", "move.new", "order.*"]).expect("a team").join("\n"));
        insta::assert_snapshot!(told(&["--herald"]).expect("roles").join("\n"));
    }

    #[test]
    fn a_principal_may_be_another_and_a_team_needs_events() {
        let commands = told(&["billing", "move.new", "--principal", "User:CN={}"]).expect("a team");
        assert!(commands.iter().all(|it| it.contains("--allow-principal User:CN=billing ")), "{commands:?}");
        assert!(told(&["billing"]).is_err() && told(&[]).is_err());
        assert!(told(&["billing", "move.new", "--herald"]).is_err());
        assert!(told(&["a team", "move.new"]).expect_err("no team").contains("is no team"));
    }
}
