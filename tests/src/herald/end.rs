//! The end of a Herald under test: who died unasked, or left work behind, fails the test.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Herald;
use crate::LOOK;

/// How long work that a test leaves behind may take to end before it counts as left over.
const SETTLE: Duration = Duration::from_secs(10);

impl Herald {
    /// What is unfinished, if anything is. Blocking, for a destructor.
    fn left_over(&self) -> Option<String> {
        let api = self.listens()?;
        for state in ["pending", "inProcess"] {
            let found = get_blocking(api, &format!("/v1/invocations?state={state}&limit=3"), &self.fleet.given.token);
            let list = found["invocations"].as_array().map_or(1, Vec::len);
            if list > 0 {
                return Some(format!("invocations that are {state}: {found}"));
            }
        }
        let status = get_blocking(api, "/v1/status?limit=1000", &self.fleet.given.token);
        // A group that has not begun yet has no position to be behind with.
        let has_begun = |group: &Value| group["partitions"].as_array().is_some_and(|each| !each.is_empty());
        let behind = |(name, group): (&String, &Value)| {
            let is_done = group["lag"] == 0 && has_begun(group);
            (!is_done).then(|| format!("the group {name} is behind: {group}"))
        };
        match status["groups"].as_object() {
            Some(groups) => groups.iter().find_map(behind),
            None => Some(format!("a status without groups: {status}")),
        }
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The panic itself may not have told the story.
            let mut to = std::io::stderr().lock();
            let _ = writeln!(to, "{}", self.story());
            return;
        }
        if self.fleet.running().is_empty() {
            return;
        }
        let begun = Instant::now();
        loop {
            // Looked at each time, since a dying process answers no more questions before it has ended.
            if let Some(dead) = self.fleet.dead() {
                panic!("herald died unasked: {dead}\n{}", self.story());
            }
            if self.may_leave_work {
                return;
            }
            let Some(left) = self.left_over() else { return };
            assert!(begun.elapsed() < SETTLE, "work was left over: {left}\n{}", self.story());
            std::thread::sleep(LOOK);
        }
    }
}

fn get_blocking(address: SocketAddr, path: &str, token: &Option<String>) -> Value {
    let asked = || -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SETTLE))?;
        let token = token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{token}connection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(serde_json::from_str(body).unwrap_or(Value::String(answer)))
    };
    asked().unwrap_or_else(|error| Value::String(error.to_string()))
}
