//! The options of a command.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use contracts::duration;
use runtime::config::Size;
use serde_json::{Map, Value};

use super::{
    super::{is_template, map, text},
    script,
};
use crate::kind::{ABSENT, head};

/// How much of a value that is wrong is shown, in bytes.
const SHOWN: usize = 200;
/// How long a kept process waits for its next event, unless the job says otherwise.
const IDLE: Duration = Duration::from_secs(60);

/// Programs that run what a file holds, or an argument behind a flag that ends with one of these letters.
const INTERPRETERS: [(&str, &[char]); 11] = [
    ("sh", &['c']),
    ("bash", &['c']),
    ("dash", &['c']),
    ("ksh", &['c']),
    ("zsh", &['c']),
    ("python", &['c']),
    ("python3", &['c']),
    ("node", &['e', 'p']),
    ("ruby", &['e']),
    ("perl", &['e', 'E']),
    ("php", &['r']),
];

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) dir: Option<PathBuf>,
    /// Whether, and how, it is kept for further events.
    pub(super) keep: Option<Keep>,
}

/// How a process is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    /// How long it waits for its next event before it is ended.
    pub(super) idle: Duration,
    /// How much memory it may take.
    pub(super) memory: Option<Size>,
}

const WANTS_A_LIST: &str = "`command` wants a list: the program and its arguments";

impl Options {
    /// Checks them as they stand in the catalog: what is executed is not for a row to choose.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.keep.is_some() {
            return self.check_kept();
        }
        if is_template(&self.program) {
            return Err(format!(
                "`{}` is filled in for each event, so that a row would choose the program; name the program, and give it \
                 the value as an argument",
                self.program
            ));
        }
        let dir = self.dir.as_ref().map(|dir| dir.to_string_lossy()).filter(|dir| is_template(dir));
        match dir {
            Some(dir) if self.program.contains('/') && !self.program.starts_with('/') => Err(format!(
                "`dir` is `{dir}`, filled in for each event, and `{}` is relative to it, so that a row would choose the \
                 program; give the program's whole path",
                self.program
            )),
            _ => Ok(()),
        }
    }

    /// Of what is started once for many events nothing is filled in.
    fn check_kept(&self) -> Result<(), String> {
        let dir = self.dir.as_ref().map(|dir| dir.to_string_lossy());
        let texts = std::iter::once(&*self.program).chain(self.arguments.iter().map(String::as_str));
        let mut texts = texts.chain(self.env.values().map(String::as_str)).chain(dir.as_deref());
        match texts.find(|text| is_template(text)) {
            None => Ok(()),
            Some(text) => Err(format!(
                "with `keep` the program is started once for many events, so that nothing is filled into `{text}`; what differs \
                 is in the message that it reads: the event, and the job's `params`"
            )),
        }
    }

    /// What is filled into a program's text, and how it is given beside it.
    pub(super) fn danger(&self) -> Option<(String, String)> {
        let text = self.text_of_program().filter(|text| is_template(text))?;
        let message = format!("what is filled into `{text}` is run as a part of it, whatever a row holds");
        let help = match self.program.ends_with("sh") {
            true => format!("give it beside it: {}", for_a_shell(text)),
            false => "give it beside it, as a further argument".to_owned(),
        };
        Some((message, help))
    }

    /// What of them is not in that folder, or on the path, or would not start, and what to do. What is filled in for each event
    /// is not known yet.
    pub(super) fn absent(&self, folder: &Path) -> Option<(String, String)> {
        let dir = folder.join(self.dir.as_deref().unwrap_or(Path::new("")));
        if is_template(&dir.to_string_lossy()) {
            return None;
        }
        let absent = |what: String| Some((what, ABSENT.to_owned()));
        if !dir.is_dir() {
            return absent(format!("its `dir`, {}, is no folder", dir.display()));
        }
        let program = &self.program;
        if program.contains('/') {
            let path = dir.join(program);
            let shown = path.display();
            return match path.metadata() {
                Ok(found) if found.is_file() && found.permissions().mode() & 0o111 == 0 => {
                    Some((format!("its program, {shown}, is not executable"), format!("chmod +x {shown}")))
                }
                Ok(found) if found.is_file() => script::trouble(&path),
                _ => absent(format!("its program, {shown}, is no file")),
            };
        }
        if let Some(script) = self.script().map(|script| dir.join(script)) {
            if !script.is_file() {
                return absent(format!("its script, {}, is no file", script.display()));
            }
            if let Some(trouble) = script::for_shell(&script, program).filter(|_| program.ends_with("sh")) {
                return Some(trouble);
            }
        }
        let paths = self.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"))?;
        if is_template(&paths.to_string_lossy()) {
            return None;
        }
        let is_found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
        if is_found { None } else { absent(format!("no folder of PATH has its program, `{program}`")) }
    }

    /// The flags behind which it takes a program's text, if it is an interpreter.
    fn interpreter(&self) -> Option<&'static [char]> {
        let name = self.program.rsplit('/').next().unwrap_or_default();
        INTERPRETERS.iter().find(|(known, _)| *known == name).map(|(_, flags)| *flags)
    }

    /// The file that an interpreter is to read: its first argument, where that is no option and not filled in.
    fn script(&self) -> Option<&str> {
        let first = self.arguments.first().filter(|_| self.interpreter().is_some())?;
        (!first.starts_with('-') && !is_template(first)).then_some(first)
    }

    /// The text of a program that an interpreter is given as an argument, as in `sh -ec …` and `node --eval …`.
    fn text_of_program(&self) -> Option<&str> {
        let flags = self.interpreter()?;
        let is_flag = |argument: &String| match argument.strip_prefix("--") {
            Some(long) => ["eval", "print"].contains(&long),
            None => argument.ends_with(flags),
        };
        let at = self.arguments.iter().take_while(|argument| argument.starts_with('-')).position(is_flag)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    pub(super) fn of(options: &Value) -> Result<Self, String> {
        match options {
            Value::Array(_) => return Self::new(options, &Map::new()),
            // As a shell takes it.
            Value::String(line) => {
                return Err(format!(
                    "it is a list of texts, the program and its arguments; as a line for a shell: {}",
                    for_a_shell(line)
                ));
            }
            _ => {}
        }
        let map = map("command", options, &["run", "env", "dir", "keep"])?.ok_or(WANTS_A_LIST)?;
        Self::new(map.get("run").ok_or(WANTS_A_LIST)?, map)
    }

    fn new(run: &Value, map: &Map<String, Value>) -> Result<Self, String> {
        let words = run.as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some((at, wrong)) = words.iter().enumerate().find(|(_, word)| text(word).is_none()) {
            return Err(format!(
                "element {} of `command` is {}, and each is a text; write it in quotes",
                at + 1,
                cut(wrong)
            ));
        }
        let mut words = words.iter().filter_map(text);
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| {
            format!(
                "`command` is {}; it is a list of texts, the program and its arguments: [notify, --quietly]",
                cut(run)
            )
        })?;
        let env = match map.get("env") {
            None | Some(Value::Null) => Some(BTreeMap::new()),
            Some(Value::Object(env)) => env.iter().map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
            Some(_) => None,
        };
        let dir = match map.get("dir") {
            None | Some(Value::Null) => None,
            Some(Value::String(dir)) => Some(PathBuf::from(dir)),
            Some(other) => return Err(format!("`dir` is {other}; it is the text of a path")),
        };
        let is_fine =
            |env: &BTreeMap<String, String>| env.keys().all(|name| !name.is_empty() && !name.contains(['=', '\0']));
        let env = env.filter(is_fine).ok_or("`env` is a map from names of variables to texts")?;
        let keep = map.get("keep").map_or(Ok(None), Keep::of)?;
        Ok(Self { program, arguments: words.collect(), env, dir, keep })
    }

    /// The file that is run: what an interpreter is to read, or else the program, where it is named by a path.
    pub(super) fn file(&self, dir: &Path) -> Option<PathBuf> {
        let named = self.script().or_else(|| self.program.contains('/').then_some(self.program.as_str()));
        named.map(|file| dir.join(file))
    }
}

/// A value as it may stand in an error.
fn cut(value: &Value) -> String {
    let text = value.to_string();
    let begin = head(&text, SHOWN);
    if begin.len() < text.len() { format!("{begin}…") } else { text }
}

/// A line for a shell as a list, with what is filled in beside it: within it, a row's text would be run.
fn for_a_shell(line: &str) -> String {
    let (mut script, mut arguments, mut rest) = (String::new(), Vec::new(), line);
    while let Some((before, behind)) = rest.split_once("${").filter(|(before, _)| !before.ends_with('$')) {
        let Some((hole, after)) = behind.split_once('}') else { break };
        arguments.push(format!("${{{hole}}}"));
        script += &format!("{before}\"${}\"", arguments.len());
        rest = after;
    }
    let script = script + rest;
    let name = (!arguments.is_empty()).then(|| "sh".to_owned());
    Value::from_iter(["sh".to_owned(), "-c".to_owned(), script].into_iter().chain(name).chain(arguments)).to_string()
}

impl Keep {
    fn of(option: &Value) -> Result<Option<Self>, String> {
        let mut keep = Self { idle: IDLE, memory: None };
        let options = match option {
            Value::Null | Value::Bool(false) => return Ok(None),
            Value::Bool(true) => return Ok(Some(keep)),
            Value::Object(_) => map("keep", option, &["idle", "memory"])?.cloned().unwrap_or_default(),
            other => return Err(format!("`keep` is {other}; it is true, or a map: {{ idle: 5m, memory: 512MiB }}")),
        };
        if let Some(idle) = options.get("idle") {
            let told = idle.as_str().map_or_else(|| idle.to_string(), str::to_owned);
            keep.idle = duration::parse(&told).map_err(|error| format!("`idle`: {error}"))?;
        }
        if let Some(memory) = options.get("memory") {
            let told = memory.as_str().map_or_else(|| memory.to_string(), str::to_owned);
            let size: Size = told.parse().map_err(|error| format!("`memory`: {error}"))?;
            if size.is_empty() {
                return Err("`memory` is nothing, in which no program runs; leave it out for any amount".to_owned());
            }
            keep.memory = Some(size);
        }
        Ok(Some(keep))
    }
}
