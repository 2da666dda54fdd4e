//! How a process is started, and a catalog applied.

use std::{net::SocketAddr, process::Command, sync::PoisonError};

use broker::Port;

use super::Fleet;
use crate::{Engine, FIRST, Output, Role, Tool, binary, home, tool::clean};

/// What tests on Kafka have instead of the defaults: few partitions, and failures that are noticed soon. What a test itself
/// sets wins.
const SETTINGS: [(&str, &str); 4] = [
    ("bus.kafka.session-timeout", "3s"),
    ("bus.kafka.transaction-timeout", "4s"),
    ("bus.kafka.delivery-timeout", "4s"),
    ("ingest.publish-timeout", "5s"),
];

impl Fleet {
    /// The command line of a process, in its environment and folder.
    pub(super) fn command(&self, role: Role, instance: &str) -> Command {
        let mut command = Command::new(binary());
        command.arg(role.name());
        if role == Role::Dev {
            command.arg(self.catalog());
        }
        for (flag, value) in self.flags(role, instance) {
            command.arg(flag).arg(value);
        }
        if role == Role::Results {
            command.arg("--single");
        }
        clean(&mut command).envs(self.variables()).current_dir(self.given.home.path());
        command
    }

    fn flags(&self, role: Role, instance: &str) -> Vec<(String, String)> {
        let text = |path: std::path::PathBuf| path.display().to_string();
        let mut flags = match role {
            Role::Dev => vec![
                ("--data", text(self.data(role, instance))),
                ("--listen", "127.0.0.1:0".to_owned()),
                ("--api", "127.0.0.1:0".to_owned()),
            ],
            Role::Ingest => {
                let results = format!("http://{}", self.api_port());
                vec![("--listen", self.port(role, instance).to_string()), ("--results", results)]
            }
            Role::Detector => Vec::new(),
            Role::JobRunner => vec![("--folder", text(self.catalog()))],
            Role::Results => {
                vec![("--data", text(self.data(role, instance))), ("--api", self.port(role, instance).to_string())]
            }
        };
        flags.retain(|(ours, _)| !self.given.flags.iter().any(|(theirs, _)| theirs == ours));
        let mut flags: Vec<_> = flags.into_iter().map(|(flag, value)| (flag.to_owned(), value)).collect();
        if role != Role::Dev {
            flags.extend(self.bus_flags());
            flags.push(("--instance".to_owned(), instance.to_owned()));
        }
        flags.extend(self.given.flags.iter().filter(|(flag, _)| role.takes(flag)).cloned());
        flags
    }

    /// Which bus, on Kafka.
    fn bus_flags(&self) -> Vec<(String, String)> {
        let Engine::Kafka(bootstrap) = &self.given.engine else { panic!("roles run on Kafka") };
        [("--bus", "kafka"), ("--brokers", bootstrap), ("--prefix", self.prefix())]
            .map(|(flag, value)| (flag.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            // For the scripts of jobs: a folder to leave marks in, and the tool to send with.
            ("SCRATCH".to_owned(), self.scratch().display().to_string()),
            ("SENDER".to_owned(), binary().display().to_string()),
            ("EVENT_LOG".to_owned(), self.scratch().join("event-log.jsonl").display().to_string()),
            (home::variable("job-runner.environment"), r#"["SCRATCH", "SENDER", "EVENT_LOG"]"#.to_owned()),
        ];
        if self.given.engine != Engine::Embedded {
            let settings = SETTINGS.into_iter().chain(home::PARTITIONS.map(|key| (key, "3")));
            variables.extend(settings.map(|(key, value)| (home::variable(key), value.to_owned())));
            variables.push((home::variable("detector.schemas-url"), format!("http://{}", self.api_port())));
        }
        variables.extend(self.given.variables.iter().cloned());
        variables
    }

    /// Where the first results listen, known before they do.
    fn api_port(&self) -> SocketAddr {
        self.port(Role::Results, FIRST)
    }

    /// A port of its own, the same whenever it is started again.
    fn port(&self, role: Role, instance: &str) -> SocketAddr {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let port = ports.entry((role, instance.to_owned()));
        port.or_insert_with(|| Port::free().unwrap_or_else(|error| panic!("a port: {error}"))).address()
    }

    /// Gives every process that is started from now on other ports.
    pub(crate) fn move_away(&mut self) {
        self.ports.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Writes a file of the catalog at once; `herald catalog apply`, or `dev` by itself, makes it count.
    pub fn write(&self, path: &str, text: &str) {
        home::write(&self.catalog(), path, text);
    }

    /// Puts the folder of the catalog on the bus, by `herald catalog apply`, and waits for its end.
    pub async fn apply(&self) -> Output {
        let output = self.apply_tool().output().await;
        self.told(&output);
        output
    }

    /// Starts `herald catalog apply`, and waits for nothing: [`Fleet::applied`] does.
    pub(crate) fn launch_apply(&mut self) {
        self.applying = Some(self.apply_tool());
    }

    /// Waits for the end of what [`Fleet::launch_apply`] started, if that has not been awaited yet.
    pub(crate) async fn applied(&mut self) -> Option<Output> {
        let output = self.applying.take()?.output().await;
        self.told(&output);
        Some(output)
    }

    fn told(&self, output: &Output) {
        let mut told = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        told.push_str(&output.stdout);
        told.push_str(&output.stderr);
    }

    /// What every `herald catalog apply` has said.
    pub(crate) fn said_of_catalogs(&self) -> String {
        let now = self.applying.as_ref().map(|tool| format!("{}{}", tool.stdout(), tool.stderr())).unwrap_or_default();
        format!("{}{now}", self.applied.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply_tool(&self) -> Tool {
        let folder = self.catalog().display().to_string();
        let mut arguments = vec!["catalog".to_owned(), "apply".to_owned(), folder];
        let configs = self.given.flags.iter().filter(|(flag, _)| flag == "--config").cloned();
        arguments.extend(self.bus_flags().into_iter().chain(configs).flat_map(|(flag, value)| [flag, value]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Tool::start(&arguments, &self.variables(), None)
    }
}
