//! `herald init` of a real PostgreSQL.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::is_kafka;

/// Whose rights PostgreSQL has where the tests have those of root, which it refuses.
const NOBODY: u32 = 65_534;

/// A PostgreSQL of its own, on a socket in its folder.
struct Postgres {
    home: TempDir,
    programs: PathBuf,
    is_root: bool,
}

impl Postgres {
    fn start() -> Self {
        let home = tempfile::Builder::new().prefix("herald-pg-").tempdir().unwrap();
        let user = Command::new("id").arg("-u").output().unwrap();
        let is_root = user.stdout.trim_ascii() == b"0";
        if is_root {
            chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let postgres = Self { programs: programs(), home, is_root };
        postgres.run("initdb", &["-D", "data", "-A", "trust", "-U", "herald", "--no-sync", "-E", "UTF8"]);
        let options = format!("-k {} -c listen_addresses='' -c fsync=off", postgres.home.path().display());
        postgres.run("pg_ctl", &["-D", "data", "-l", "log", "-o", &options, "-w", "start"]);
        postgres
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        // Its client is not always where the server is.
        let mut command = Command::new(if path.exists() { path } else { program.into() });
        command.args(arguments).current_dir(self.home.path()).env("HOME", self.home.path());
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        // Not its output: what is started would hold the pipes.
        let printed = fs::File::create(self.home.path().join("printed")).unwrap();
        let status = command.stdout(printed.try_clone().unwrap()).stderr(printed).status();
        let told = || fs::read_to_string(self.home.path().join("printed")).unwrap_or_default();
        let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {arguments:?}: {}", told());
    }

    fn sql(&self, text: &str) {
        let socket = self.home.path().display().to_string();
        self.run("psql", &["-h", &socket, "-U", "herald", "-v", "ON_ERROR_STOP=1", "-q", "-c", text, "postgres"]);
    }

    fn url(&self, user: &str) -> String {
        format!("postgres://{user}@{}/postgres", self.home.path().display().to_string().replace('/', "%2F"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", "data", "-m", "immediate", "stop"]);
    }
}

/// The folder of PostgreSQL's programs: Debian keeps those of a server beside the path. Where there is none the test fails: what is
/// not run must not look as if it passed.
fn programs() -> PathBuf {
    let on_path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    all.sort();
    let found = on_path.into_iter().chain(all.into_iter().rev()).find(|folder| folder.join("initdb").is_file());
    found.expect("there is no PostgreSQL: install it (Debian: postgresql), or put its programs on the path")
}

fn herald(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(tests::binary()).args(arguments).env_remove("PGPASSWORD").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_catalog_of_a_postgresql_is_green_and_is_described_again_when_tables_change() {
    if is_kafka("a catalog's folder is on no bus") {
        return;
    }
    let postgres = Postgres::start();
    postgres.sql(
        "create type order_status as enum ('placed', 'paid', 'shipped');
         create domain euro as numeric(12,2) not null;
         create table orders (id bigserial primary key, status order_status not null, total numeric(10,2), price euro,
                              express smallint, tags text[], meta jsonb, at timestamptz not null default now());
         comment on table orders is 'What customers order.';
         alter table orders add gone text; alter table orders drop gone;
         create schema shop;
         create table shop.\"Order Items\" (a int, b uuid, \"my col\" text, primary key (a, b));
         create table measures (at date, v float8) partition by range (at);
         create table measures_1 partition of measures for values from ('2026-01-01') to ('2027-01-01');
         create view seen as select * from orders;
         create schema hdb_catalog; create table hdb_catalog.event_log (id text);",
    );
    let (home, url) = (tempfile::tempdir().unwrap(), postgres.url("herald"));
    let folder = home.path().join("catalog");
    let folder = folder.to_str().unwrap();
    let (code, stdout, stderr) = herald(&["init", folder, "--from-postgres", &url]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let files = |below: &str| {
        let entries = fs::read_dir(Path::new(folder).join(below)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(files("tables"), ["public.measures.yaml", "public.orders.yaml", "shop.Order Items.yaml"]);
    assert_eq!(files("events"), ["measures.created.yaml", "orders.created.yaml", "shop.Order-Items.created.yaml"]);
    let orders = Path::new(folder).join("tables/public.orders.yaml");
    let described = "# yaml-language-server: $schema=../schemas/table.json
description: \"What customers order.\"
columns:
  id: { type: bigint, nullable: false }
  status: { type: order_status, nullable: false, values: [placed, paid, shipped] }
  total: \"numeric(10,2)\"
  price: { type: \"numeric(12,2)\", nullable: false }
  express: smallint
  tags: \"text[]\"
  meta: jsonb
  at: { type: \"timestamp with time zone\", nullable: false }
";
    assert_eq!(fs::read_to_string(&orders).unwrap(), described);
    for command in ["check", "test"] {
        let (code, stdout, stderr) = herald(&[command, folder]);
        assert!(code == 0 && !stdout.contains("warning:"), "{stdout}{stderr}");
    }
    let payload = format!("{folder}/payloads/orders.created.json");
    let (code, stdout, _) = herald(&["detect", folder, &payload]);
    assert!(code == 0 && stdout.contains("✓ orders.created"), "{stdout}");

    // The tables change, and nothing of what was written meanwhile is lost.
    postgres.sql("alter table orders rename status to state");
    let event = Path::new(folder).join("events/orders.created.yaml");
    fs::write(
        &event,
        "from: { table: orders }\nwhen: new.state == \"paid\"\ndata: { id: new.id }\nsample: { id: 1 }\n",
    )
    .unwrap();
    let (code, stdout, _) = herald(&["check", folder]);
    assert!(code == 1 && stdout.contains("no column `state`"), "{stdout}");
    let (code, _, stderr) = herald(&["init", folder, "--from-postgres", &url, "--describe"]);
    assert!(code == 2 && stderr.contains("public.orders.yaml; nothing is written"), "{stderr}");
    let (code, stdout, _) = herald(&["init", folder, "--from-postgres", &url, "--describe", "--force"]);
    assert!(code == 0 && stdout.contains("public.orders.yaml  (written over)"), "{stdout}");
    assert_eq!(herald(&["check", folder]).0, 0);

    // What is wrong is told by who has to act.
    let (code, _, stderr) = herald(&["init", folder, "--from-postgres", &postgres.url("stranger"), "--force"]);
    assert!(code == 1 && stderr.contains("role \"stranger\" does not exist"), "{code}: {stderr}");
    let (code, _, stderr) =
        herald(&["init", folder, "--from-postgres", "postgres://x:s3cret@127.0.0.1:1/x", "--force"]);
    assert!(code == 3 && stderr.contains("Connection refused") && !stderr.contains("s3cret"), "{code}: {stderr}");
}
