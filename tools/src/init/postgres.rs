//! The tables of a PostgreSQL, as its own catalog has them. Nothing is written there.

use std::time::Duration;

use anyhow::Context as _;
use client::exit::{self, Usage};
use tokio_postgres::{Config, NoTls, Row};

use super::{
    Away,
    table::{Column, Table},
};

/// How long all of it may take.
const AT_MOST: Duration = Duration::from_secs(30);

/// Tables and partitioned tables that are nobody else's: not PostgreSQL's, Hasura's, an extension's, no partition, and not
/// temporary. A column of a domain has the type that the domain is made of.
const QUERY: &str = "
select n.nspname::text, c.relname::text, obj_description(c.oid, 'pg_class'), a.attname::text,
       case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) else format_type(a.atttypid, a.atttypmod) end,
       a.attnotnull or t.typnotnull,
       array(select e.enumlabel::text from pg_enum e
             where e.enumtypid = case when t.typtype = 'd' then t.typbasetype else t.oid end order by e.enumsortorder),
       col_description(c.oid, a.attnum),
       coalesce(a.attnum = any(i.indkey), false)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'hdb_catalog') and n.nspname !~ '^pg_(toast|temp)'
  and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname, c.relname, a.attnum";

/// Every table, with its columns, of what Hasura calls `database`.
///
/// # Errors
/// The URL is none, nobody answers, or what is asked is refused. No error has the password in it.
pub(super) async fn tables(url: &str, database: &str) -> anyhow::Result<Vec<Table>> {
    let config = config(url, std::env::var("PGPASSWORD").ok())?;
    let read = tokio::time::timeout(AT_MOST, read(&config, database)).await;
    read.unwrap_or_else(|_| Err(Away(format!("it does not answer within {} s", AT_MOST.as_secs())).into()))
}

fn config(url: &str, password: Option<String>) -> Result<Config, Usage> {
    let is_one = url.starts_with("postgres://") || url.starts_with("postgresql://") || url.contains('=');
    let wanted = "a URL of PostgreSQL is postgres://user:password@host:5432/database";
    let mut config: Config = match url.parse() {
        Ok(config) if is_one => config,
        Ok(_) => return Err(Usage(wanted.to_owned())),
        // What is wrong is said without what was given: it may hold a password.
        Err(_) => {
            return Err(Usage(format!("--from-postgres cannot be read; {wanted}, with %XX for what is special in it")));
        }
    };
    if let Some(password) = password.filter(|_| config.get_password().is_none()) {
        config.password(password);
    }
    config.application_name("herald init").connect_timeout(AT_MOST);
    Ok(config)
}

async fn read(config: &Config, database: &str) -> anyhow::Result<Vec<Table>> {
    let (client, connection) = config.connect(NoTls).await.map_err(not_connected)?;
    // It ends when the client goes.
    let driven = tokio::spawn(connection);
    let rows = client.query(QUERY, &[]).await.context("PostgreSQL refuses to tell its tables");
    drop(client);
    let _ = driven.await;
    grouped(&rows?, database).context("what PostgreSQL tells of its tables cannot be read")
}

fn not_connected(error: tokio_postgres::Error) -> anyhow::Error {
    let is_refusal = error.as_db_error().is_some();
    let error = anyhow::Error::from(error);
    let told = exit::told(&error);
    if ["TLS", "no encryption", "SSL"].iter().any(|part| told.contains(part)) {
        return error.context(
            "`init` speaks to PostgreSQL without TLS; where it is wanted, use a tunnel, or a local copy of the schema",
        );
    }
    if is_refusal { error.context("PostgreSQL refuses") } else { Away(told).into() }
}

fn grouped(rows: &[Row], database: &str) -> Result<Vec<Table>, tokio_postgres::Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let column = Column {
            name: row.try_get(3)?,
            written: Some(row.try_get(4)?),
            nullable: !row.try_get::<_, bool>(5)?,
            values: row.try_get(6)?,
            comment: row.try_get(7)?,
            is_key: row.try_get(8)?,
        };
        match tables.last_mut() {
            Some(table) if (&table.schema, &table.name) == (&schema, &name) => table.columns.push(column),
            _ => tables.push(Table {
                source: database.to_owned(),
                schema,
                name,
                comment: row.try_get(2)?,
                columns: vec![column],
                is_complete: true,
            }),
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_in_an_error_and_may_be_in_the_environment() {
        for url in [
            "postgres://me:s3cret@host:port/x",
            "postgres://me:s3cret@[::1",
            "s3cret",
            "host=x s3cret",
            "mysql://s3cret@h/d",
        ] {
            let error = config(url, None).expect_err(url).to_string();
            assert!(!error.contains("s3cret") && error.contains("postgres://user"), "{error}");
        }
        let given = |url: &str| config(url, Some("other".into())).expect("a URL").get_password().map(<[u8]>::to_vec);
        assert_eq!(given("postgres://me@host/x"), Some(b"other".to_vec()));
        assert_eq!(given("postgresql://me:mine@host/x"), Some(b"mine".to_vec()));
    }
}
