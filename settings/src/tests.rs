use super::*;

#[test]
fn the_commented_file_is_the_defaults_of_every_stage() {
    let config = Config::load(Layers::new(DEFAULTS)).expect("the defaults");
    let same = |a: &dyn erased::Json, b: &dyn erased::Json| assert_eq!(a.json(), b.json());
    let ingest = ingest::Config { listen: config.ingest.listen.clone(), ..ingest::Config::default() };
    same(&config.ingest, &ingest);
    same(&config.detector, &detector::Config::default());
    same(&config.job_runner, &job_runner::Config::default());
    let results = results::Config { path: config.results.path.clone(), ..results::Config::default() };
    same(&config.results, &results);
    let embedded = bus::embedded::Config::new(".herald");
    assert_eq!(format!("{:?}", config.embedded()), format!("{embedded:?}"));
    assert_eq!(config.bus.kind, Kind::Embedded);
    let told = config.bus.kafka.told("detector").expect("the host has a name");
    assert!(!told.instance.is_empty(), "without an instance it is the host's name");
    let kafka = kafka_config::Config::new([""; 0]);
    let kafka = kafka_config::Config { role: "detector".into(), instance: told.instance.clone(), ..kafka };
    assert_eq!(format!("{told:?}"), format!("{kafka:?}"));
}

#[test]
fn no_variable_that_holds_a_secret_is_given_to_jobs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("herald.toml");
    let load = |environment: &str| {
        // PATH is a variable that is certainly set.
        let secrets = "[ingest.listen]\nauth = [\"written\", { env = \"PATH\" }]\n";
        std::fs::write(&path, format!("{secrets}[job-runner]\nenvironment = [{environment}]\n")).expect("written");
        Config::load(Layers::new(DEFAULTS).file(Some(&path)))
    };
    assert_eq!(load("\"PGHOST\"").expect("usable").job_runner.environment, ["PGHOST"]);
    for secret in ["PATH", "HERALD_API_TOKEN"] {
        let error = load(&format!("\"PGHOST\", \"{secret}\"")).expect_err("refused").to_string();
        let told = format!("`job-runner.environment` in {}, line 4 names `{secret}`", path.display());
        assert!(error.starts_with(&told), "{error}");
    }
}

#[test]
fn settings_that_let_nothing_through_are_all_named() {
    let load = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(name, value)| (format!("HERALD__{name}"), (*value).to_owned()));
        Config::load(Layers::new(DEFAULTS).env(env)).map_err(|error| error.to_string())
    };
    let error = load(&[("DETECTOR__IDS", "0"), ("INGEST__LISTEN__WRITE_TIMEOUT", "0s"), ("BUS__PARTITIONS", "0")])
        .expect_err("unusable");
    for part in ["WRITE_TIMEOUT` must be at least 1ms; `bus.part", "PARTITIONS` must be at least 1; `detector.ids` in"]
    {
        assert!(error.contains(part), "{error}");
    }
    for (name, value, says) in [
        ("BUS__PARTITIONS", "100000", "`bus.partitions` can be at most"),
        ("BUS__MAX_BYTES", "1B", "`bus.max-bytes` must be at least"),
        ("DETECTOR__IDS", "999999999999", "`detector.ids` can be at most"),
        ("DETECTOR__SCHEMAS_URL", "ftp://x", "`detector.schemas-url` must be an http"),
        ("DETECTOR__SCHEMAS_URL", "http://", "`detector.schemas-url` must be an http"),
        ("RESULTS__DEADLINE", "0s", "`results.deadline` must be at least"),
        ("RESULTS__PATH", "", "`results.path` names no path"),
        ("DATA", "", "`data` names no path"),
    ] {
        let error = load(&[(name, value)]).expect_err(name);
        let (key, says) = says.split_at(says.rfind('`').expect("a key") + 1);
        let says = format!("{key} in the environment variable `HERALD__{name}`{says}");
        assert!(error.starts_with(&says), "{error}");
    }
    load(&[("DETECTOR__WINDOW", "0s"), ("JOB_RUNNER__QUEUE_RECORDS", "1")]).expect("usable");
}

/// The names of all settings, of those without a default, too.
fn settings() -> Vec<String> {
    fn leaves(path: &str, value: &serde_json::Value, out: &mut Vec<String>) {
        let join = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value.as_object().filter(|table| !table.is_empty()) {
            Some(table) => table.iter().for_each(|(name, value)| leaves(&join(name), value, out)),
            None => out.push(path.to_owned()),
        }
    }
    let others =
        "health.address bus.kafka.topics.raw.replication ingest.results.api ingest.results.token ingest.keys.t";
    let mut out: Vec<String> = others.split(' ').map(str::to_owned).collect();
    let config = Config::load(Layers::new(DEFAULTS)).expect("the defaults");
    leaves("", &serde_json::to_value(&config).expect("settings are plain data"), &mut out);
    out
}

#[test]
fn a_value_that_is_refused_is_told_with_its_setting_its_place_and_what_it_may_be() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let huge = "99999999999999999999";
    let long = format!("{huge}d");
    let large = format!("{huge}GiB");
    let mut refused = 0;
    for key in settings() {
        for value in ["[1]", "{ a = 1 }", "", "a, b", "-1", "0", "1.5", "true", huge, &long, &large] {
            let variable = format!("HERALD__{}", key.replace('.', "__").replace('-', "_").to_uppercase());
            let is_toml = value.starts_with(['[', '{']) || value == "true" || value.parse::<f64>().is_ok();
            let written = if is_toml { value.to_owned() } else { format!("{value:?}") };
            std::fs::write(&file, format!("\n{key} = {written}\n")).expect("written");
            for (layers, place) in [
                (Layers::new(DEFAULTS).env([(variable.clone(), value.to_owned())]), &variable),
                (Layers::new(DEFAULTS).file(Some(file.path())), &format!("{}, line 2", file.path().display())),
            ] {
                let Err(error) = Config::load(layers) else { continue };
                let error = error.to_string();
                assert!(error.contains(&format!("`{key}")) && error.contains(place), "{key} = {value}: {error}");
                for inner in [
                    "sequence",
                    "map",
                    "enum",
                    "struct",
                    "untagged",
                    "u16",
                    "u32",
                    "u64",
                    "usize",
                    "path string",
                    "signed int",
                    "float",
                    "bool ",
                    "a string",
                ] {
                    assert!(!error.contains(inner), "{key} = {value}: {error}");
                }
                refused += 1;
            }
        }
    }
    assert!(refused > 1000, "only {refused} were refused");
    let told = |name: &str, value: &str| {
        let layers = Layers::new(DEFAULTS).env([(name.to_owned(), value.to_owned())]);
        Config::load(layers).expect_err(name).to_string()
    };
    for (name, value, part) in [
        ("HERALD__JOB_RUNNER__JOBS", "a,b", "it is `a,b`, not a list, as in [\"a\", \"b\"]"),
        ("HERALD__BUS__KIND", "true", "it is `true`, not `embedded` or `kafka`"),
        ("HERALD__BUS__PARTITIONS", "4294967296", "it is `4294967296`, not a whole number from 0 to 4294967295"),
        ("HERALD__BUS__KEEP_AGE", "99999999999d", "can be at most 36500d"),
        ("HERALD__BUS__MAX_BYTES", "99999999999GiB", "can be at most 1024PiB"),
        ("HERALD__BUS__PARTITIONS", "0", "`HERALD__BUS__PARTITIONS` must be at least 1"),
    ] {
        assert!(told(name, value).contains(part), "{}", told(name, value));
    }
}

#[test]
fn a_text_of_a_variable_or_a_flag_may_look_like_a_number() {
    for text in ["2024", "1.5", "true", "-7"] {
        let env = [("HERALD__RESULTS__PATH".to_owned(), text.to_owned())];
        let config = Config::load(Layers::new(DEFAULTS).env(env).flag("--data", "data", text)).expect(text);
        assert_eq!((config.data.to_str(), config.results.path.to_str()), (Some(text), Some(text)));
    }
}

#[test]
fn what_is_no_folder_is_not_taken_for_one_and_what_is_no_file_neither() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |data: &str, results: &str| {
        let path = |path: &str| folder.path().join(path).display().to_string();
        let env = [("DATA", path(data)), ("RESULTS__PATH", path(results))];
        let env = env.map(|(name, value)| (format!("HERALD__{name}"), value));
        let config = Config::load(Layers::new(DEFAULTS).env(env)).expect("read");
        config.check_places().map_err(|error| error.to_string())
    };
    std::fs::write(folder.path().join("file"), "").expect("written");
    for (data, results) in [("new", "new"), (".", "new/results.db"), ("", "file")] {
        at(data, results).expect("usable");
    }
    for (data, results, told) in [
        ("file", "new", "`data` in the environment variable `HERALD__DATA` is "),
        (
            "/dev/null",
            "new",
            "`data` in the environment variable `HERALD__DATA` is /dev/null, which is no folder; name a",
        ),
        ("new", ".", "`results.path` in the environment variable `HERALD__RESULTS__PATH` is "),
        (
            "new",
            "/dev/null",
            "HERALD__RESULTS__PATH` is /dev/null, which is no regular file; name a file, which may be",
        ),
    ] {
        let error = at(data, results).expect_err("refused");
        assert!(error.contains(told), "{error}");
    }
}

fn with(settings: &str) -> Result<kafka_config::Config, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("herald.toml");
    std::fs::write(&path, format!("[bus.kafka]\nbrokers = \"a:9092, b:9092\"\n{settings}")).expect("written");
    let config = Config::load(Layers::new(DEFAULTS).file(Some(&path)));
    config.and_then(|config| config.kafka("ingest")).map_err(|error| error.to_string())
}

#[test]
fn brokers_are_a_text_or_a_list_and_must_be_named() {
    assert_eq!(with("").expect("usable").brokers, ["a:9092", "b:9092"]);
    let flags = BusOptions { brokers: Some("c:1,d:2".into()), instance: Some("007".into()), ..BusOptions::default() };
    let told = Config::load(layers(&flags).expect("layers")).and_then(|config| config.kafka("x")).expect("usable");
    assert_eq!((told.brokers, told.instance.as_str()), (vec!["c:1".to_owned(), "d:2".to_owned()], "007"));
    let flags = BusOptions { instance: Some("7".into()), ..BusOptions::default() };
    let config = Config::load(layers(&flags).expect("layers")).expect("a configuration");
    assert_eq!(config.bus.kafka.instance, "7");
    assert!(config.kafka("x").expect_err("no brokers").to_string().contains("--brokers"));
}

#[test]
fn whoever_names_brokers_means_kafka() {
    let kind = |bus: Option<&str>, brokers: Option<&str>| {
        let options =
            BusOptions { bus: bus.map(str::to_owned), brokers: brokers.map(str::to_owned), ..BusOptions::default() };
        Config::load(layers(&options).expect("layers")).expect("settings").bus.kind
    };
    assert_eq!(kind(None, Some("a:9092")), Kind::Kafka);
    assert_eq!(kind(Some("embedded"), Some("a:9092")), Kind::Embedded);
    assert_eq!(kind(None, None), Kind::Embedded);
}

#[test]
fn properties_are_passed_through_however_they_are_written() {
    let told = with(
        "[bus.kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\n\
         sasl.password = { env = \"PATH\" }\nfetch.wait.max.ms = 20\nsocket.keepalive.enable = true\n",
    )
    .expect("usable");
    let path = std::env::var("PATH").expect("a path");
    for (name, value) in [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.password", path.trim()),
        ("fetch.wait.max.ms", "20"),
        ("socket.keepalive.enable", "true"),
    ] {
        assert_eq!(told.properties.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!format!("{told:?}").contains(path.trim()), "a secret shows itself");
    let env = |name: &str, value: &str| (format!("HERALD__BUS__KAFKA__PROPERTIES__{name}"), value.to_owned());
    let layers = Layers::new(DEFAULTS).env([env("SASL_PASSWORD", "007"), env("DEBUG", "cgrp")]);
    let config = Config::load(layers).expect("a configuration");
    let exposed = config.bus.kafka.properties.exposed();
    assert_eq!(exposed.get("sasl.password").map(String::as_str), Some("007"));
    assert_eq!(exposed.len(), 2);
    assert!(!format!("{config:?}").contains("007") && !serde_json::json!(config).to_string().contains("007"));
}

#[test]
fn a_property_that_is_ours_is_refused_by_name() {
    for name in ["transactional.id", "group.id", "isolation.level", "auto.offset.reset", "acks"] {
        let error = with(&format!("[bus.kafka.properties]\n{name} = \"x\"\n")).expect_err("ours");
        assert!(error.contains(&format!("`{name}`")) && error.contains("take it out"), "{error}");
    }
}

#[test]
fn times_that_cannot_work_are_refused_with_what_they_may_be() {
    for (settings, part) in [
        ("delivery-timeout = \"5s\"", "below `ingest.publish-timeout`"),
        ("transaction-timeout = \"3s\"", "at least `bus.kafka.delivery-timeout`"),
        ("session-timeout = \"500ms\"", "between 1s and 5m"),
        ("prefix = \"a b\"", "`bus.kafka.prefix`"),
        ("[bus.kafka.topics.raw]\npartitions = 0", "the topics of `raw` have no partitions"),
        ("[bus.kafka.topics.table]\nretention = \"7d\"", "keeps the last of each key for ever"),
        ("[bus.kafka.topics.raw]\nretention = \"0s\"", "nothing would be kept"),
    ] {
        let error = with(settings).expect_err(settings);
        assert!(error.contains(part), "{settings}: {error}");
    }
    let told = with(
        "[bus.kafka.topics]\nraw = { partitions = 12 }\nevent = { retention = \"forever\" }\n\
         names.\"event.move.*\" = { partitions = 24 }\n[bus.kafka.topics.config]\nmin.insync.replicas = 2\n",
    )
    .expect("usable");
    let plan = |topic: &str| told.layout.plan(&bus::TopicSpec::new(topic));
    assert_eq!(plan("event.move.new").partitions, 24);
    assert_eq!((plan("raw").partitions, plan("seen").partitions, plan("event.a").partitions), (12, 12, 6));
    assert_eq!(plan("event.a").config.get("retention.ms").map(String::as_str), Some("-1"));
    assert_eq!(plan("raw").config.get("min.insync.replicas").map(String::as_str), Some("2"));
}

mod erased {
    pub(crate) trait Json {
        fn json(&self) -> serde_json::Value;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> serde_json::Value {
            serde_json::to_value(self).expect("settings are plain data")
        }
    }
}
