//! A PostgreSQL database: dumped by `pg_dump`, restored by `pg_restore`, of the version that fits
//! the server.
//!
//! The dump is of the schema that holds the tables, without owners and grants: it goes into any
//! database of any user, and the server makes its role and its grants when it opens it. Row-level
//! security does not hold for the tables' owner; for whom it does hold, `pg_dump` refuses, so that
//! a dump is never of some roots only.

use super::contents::{COUNTS, Contents, MIGRATIONS};
use super::programs::{Folders, Program, Working};
use super::{BackupError, Result};
use db::restoration::Restoration;
use db::{OpenError, SNAPSHOT, name_of, restoring};
use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::io::{AsyncRead, AsyncWrite};

/// The dump may take longer than a server likes an idle transaction to be.
const NO_TIMEOUT: &str = "set local idle_in_transaction_session_timeout = 0";
const EXPORT: &str = "select pg_export_snapshot()";
const SCHEMA: &str = "select current_schema()::text";
const IS_OURS: &str =
    "select to_regclass('_sqlx_migrations') is not null and to_regclass('heads') is not null";
const RECORDS: &str = "select coalesce(sum(last_seq - (number << 40)), 0)::bigint from heads";
const CONNECT_SECS_MAX: &str = "10";

/// A dump under way: its output is the archive form of `pg_dump`.
#[derive(Debug)]
pub struct Dump {
    pub contents: Contents,
    /// The database as messages name it.
    pub server: String,
    /// Major version of the program that writes it; to read it takes this one or a later one.
    pub program: u32,
    working: Working,
    /// Keeps the moment until the program has it.
    _snapshot: PgConnection,
}

impl Dump {
    /// # Errors
    /// The database cannot be had or is none of Centwise's; there is no `pg_dump` that fits.
    pub async fn begin(url: &str, folders: &Folders) -> Result<Self> {
        let (options, mut connection, server) = connect(url).await?;
        if !sqlx::query_scalar::<_, bool>(IS_OURS)
            .fetch_one(&mut connection)
            .await?
        {
            return Err(BackupError::NotOurs(server));
        }
        let program = folders.find("pg_dump", major(&connection))?;
        connection.execute(SNAPSHOT).await?;
        connection.execute(NO_TIMEOUT).await?;
        let snapshot: String = sqlx::query_scalar(EXPORT)
            .fetch_one(&mut connection)
            .await?;
        let contents = contents(&mut connection).await?;
        let schema = schema(&mut connection).await?;
        let arguments = [
            "--format=custom",
            "--compress=0",
            "--no-owner",
            "--no-privileges",
            "--no-password",
        ]
        .map(str::to_owned);
        let of_this = [
            format!("--schema={}", in_quotes(&schema)),
            format!("--snapshot={snapshot}"),
        ];
        let working = Working::reading(
            &program,
            &[&arguments[..], &of_this].concat(),
            &environment(&options),
        )?;
        Ok(Self {
            contents,
            server,
            program: program.major,
            working,
            _snapshot: connection,
        })
    }

    pub fn output(&mut self) -> Result<&mut (impl AsyncRead + Unpin + use<>)> {
        self.working.output()
    }

    /// After the last byte.
    ///
    /// # Errors
    /// The program failed: the bytes are no dump. What it said is passed on.
    pub async fn finish(self) -> Result<()> {
        self.working.finish().await
    }
}

/// A restore under way: its input is the output of a [`Dump`].
#[derive(Debug)]
pub struct Restore {
    working: Working,
}

impl Restore {
    /// `dumped_by`: the version of the program that made the dump. From before the first table on
    /// the database says that it is being restored (`db::restoring`): whoever opens it marks
    /// it, even if this process is gone by then.
    ///
    /// # Errors
    /// The database cannot be had or is not empty; there is no `pg_restore` that fits.
    pub async fn begin(
        url: &str,
        dumped_by: u32,
        folders: &Folders,
        restoration: &Restoration,
    ) -> Result<Self> {
        let (options, mut connection, server) = connect(url).await?;
        // Before anything else that takes time: a server that is started meanwhile finds it.
        if !restoring::begin(&mut connection, restoration).await? {
            return Err(BackupError::NotEmpty { server });
        }
        let program: Program = match folders.find("pg_restore", dumped_by.max(major(&connection))) {
            Ok(program) => program,
            Err(error) => {
                restoring::withdraw(&mut connection).await?;
                return Err(error);
            }
        };
        let schema = schema(&mut connection).await?;
        let database = options
            .get_database()
            .unwrap_or_else(|| options.get_username());
        let arguments = [
            "--no-owner",
            "--no-privileges",
            "--no-password",
            "--single-transaction",
            "--exit-on-error",
        ]
        .map(str::to_owned);
        // In a list of parameters the name cannot be taken for one.
        let database = database.replace('\\', "\\\\").replace('\'', "\\'");
        let into = [
            format!("--schema={schema}"),
            format!("--dbname=dbname='{database}'"),
        ];
        connection.close().await?;
        let working = Working::writing(
            &program,
            &[&arguments[..], &into].concat(),
            &environment(&options),
        )?;
        Ok(Self { working })
    }

    pub fn input(&mut self) -> Result<&mut (impl AsyncWrite + Unpin + use<>)> {
        self.working.input()
    }

    /// After the last byte. All of it is there then, or nothing.
    pub async fn finish(self) -> Result<()> {
        self.working.finish().await
    }
}

/// A database beside the one of a URL, for as long as a trial takes.
#[derive(Debug)]
pub struct Scratch {
    server: PgConnection,
    name: String,
    url: String,
}

impl Scratch {
    /// Makes it; `name` has letters, digits and underscores only.
    pub async fn create(url: &str, name: &str) -> Result<Self> {
        let (options, mut server, at) = connect(url).await?;
        match server
            .execute(AssertSqlSafe(format!(
                "create database {name} template template0 encoding 'UTF8'"
            )))
            .await
        {
            Err(error) if has_code(&error, INSUFFICIENT_PRIVILEGE) => {
                let user = options.get_username().to_owned();
                return Err(BackupError::MayNotCreate {
                    server: at,
                    role: in_quotes(&user),
                    user,
                });
            }
            made => made?,
        };
        Ok(Self {
            server,
            name: name.to_owned(),
            url: url_of(url, name),
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Only a superuser may end autovacuum's session in it, which `with (force)` tries to; without,
    /// the server itself does.
    pub async fn remove(mut self) -> Result<()> {
        /// Of a drop that waits five seconds for sessions that are ending.
        const ATTEMPTS_MAX: usize = 12;
        for attempt in 1.. {
            sqlx::query(END_OWN_SESSIONS)
                .bind(&self.name)
                .execute(&mut self.server)
                .await?;
            match self
                .server
                .execute(AssertSqlSafe(format!(
                    "drop database if exists {}",
                    self.name
                )))
                .await
            {
                Ok(_) => break,
                Err(error) if attempt < ATTEMPTS_MAX && has_code(&error, OBJECT_IN_USE) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.server.close().await?)
    }
}

const END_OWN_SESSIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity where \
    datname = $1 and usename = current_user and pid <> pg_backend_pid()";

const OBJECT_IN_USE: &str = "55006";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some(code))
}

/// The URL of another database of the same server.
fn url_of(url: &str, database: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").unwrap_or(("postgres", base));
    let server = rest.split_once('/').map_or(rest, |(server, _)| server);
    // What follows a name in the query would overrule the path.
    let kept = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.starts_with("dbname="));
    let query = kept.collect::<Vec<_>>().join("&");
    format!(
        "{scheme}://{server}/{database}{}{query}",
        if query.is_empty() { "" } else { "?" }
    )
}

pub async fn contents_of_database(url: &str) -> Result<Contents> {
    let (_, mut connection, _) = connect(url).await?;
    let contents = contents(&mut connection).await?;
    connection.close().await?;
    Ok(contents)
}

async fn contents(connection: &mut PgConnection) -> Result<Contents> {
    let migrations = sqlx::query_scalar(MIGRATIONS)
        .fetch_all(&mut *connection)
        .await?;
    let records = sqlx::query_scalar(RECORDS)
        .fetch_one(&mut *connection)
        .await?;
    Ok(Contents::new(
        migrations,
        records,
        sqlx::query_as(COUNTS).fetch_one(connection).await?,
    ))
}

async fn schema(connection: &mut PgConnection) -> Result<String> {
    Ok(sqlx::query_scalar(SCHEMA).fetch_one(connection).await?)
}

/// Without bringing tables up to date: a backup is of what is there.
async fn connect(url: &str) -> Result<(PgConnectOptions, PgConnection, String)> {
    let options: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
    let options = options
        .application_name("centwise backup")
        .disable_statement_logging();
    let server = name_of(&options);
    let connection = options
        .connect()
        .await
        .map_err(|error| OpenError::Connect {
            server: server.clone(),
            error,
        })?;
    Ok((options, connection, server))
}

fn major(connection: &PgConnection) -> u32 {
    connection.server_version_num().unwrap_or(0) / 10_000
}

/// As `pg_dump` takes patterns, and SQL names: in quotes nothing in it means anything else.
fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where and as whom, as PostgreSQL's programs read it: nothing of it is on a command line, where
/// others could read it.
fn environment(options: &PgConnectOptions) -> Vec<(&'static str, String)> {
    let host = options.get_socket().map_or_else(
        || options.get_host().to_owned(),
        |socket| socket.display().to_string(),
    );
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    let mut environment = vec![
        (
            "PGHOST",
            host.trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
        ),
        ("PGPORT", options.get_port().to_string()),
        ("PGUSER", options.get_username().to_owned()),
        ("PGDATABASE", database.to_owned()),
        ("PGAPPNAME", "centwise backup".to_owned()),
        ("PGCONNECT_TIMEOUT", CONNECT_SECS_MAX.to_owned()),
    ];
    environment.extend(
        options
            .get_options()
            .map(|options| ("PGOPTIONS", options.to_owned())),
    );
    let url = options.to_url_lossy();
    environment.extend(url.password().map(|password| {
        (
            "PGPASSWORD",
            percent_decode_str(password)
                .decode_utf8_lossy()
                .into_owned(),
        )
    }));
    for (name, value) in url.query_pairs() {
        let name = match &*name {
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            "sslcert" => "PGSSLCERT",
            "sslkey" => "PGSSLKEY",
            _ => continue,
        };
        // Files are named so; a certificate that is in the URL itself has no name.
        let value = value.strip_prefix("file: ").unwrap_or(&value);
        environment.push((name, value.to_owned()));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::Catalog;
    use db::{Db, PostgresOptions};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn programs_are_told_by_their_environment() {
        let url = "postgres://me:p%40%20ss@[::1]:5433/my%20db?sslmode=verify-full&sslrootcert=/ca.pem&options=-csearch_path%3Dbooks";
        let told = environment(&url.parse().unwrap());
        for (name, value) in [
            ("PGHOST", "::1"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "p@ ss"),
            ("PGDATABASE", "my db"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
            ("PGOPTIONS", "-csearch_path=books"),
        ] {
            assert_eq!(
                told.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.as_str()),
                Some(value),
                "{name}"
            );
        }
        assert_eq!(
            url_of("postgres://a:b@h:5/x?dbname=z&sslmode=require", "y"),
            "postgres://a:b@h:5/y?sslmode=require"
        );
        assert_eq!(url_of("postgres://h", "y"), "postgres://h/y");
    }

    fn usual() -> Folders {
        Folders::usual(&std::env::var_os("PATH").unwrap_or_default())
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let none = Dump::begin(database.url(), &Folders(Vec::new()))
            .await
            .unwrap_err();
        assert!(
            matches!(
                none,
                BackupError::NoProgram {
                    name: "pg_dump",
                    ..
                }
            ),
            "{none}"
        );
        let empty = Scratch::create(database.url(), &format!("empty_{}", std::process::id()))
            .await
            .unwrap();
        let none = Restore::begin(empty.url(), 15, &Folders(Vec::new()), &RESTORATION)
            .await
            .unwrap_err();
        assert!(
            matches!(
                none,
                BackupError::NoProgram {
                    name: "pg_restore",
                    ..
                }
            ),
            "{none}"
        );
        let not_ours = Dump::begin(empty.url(), &usual()).await.unwrap_err();
        assert!(
            not_ours.to_string().contains("has no tables of Centwise"),
            "{not_ours}"
        );
        empty.remove().await.unwrap();
        let full = Restore::begin(database.url(), 15, &usual(), &RESTORATION)
            .await
            .unwrap_err();
        assert!(matches!(full, BackupError::NotEmpty { .. }), "{full}");
        let nowhere = Dump::begin(&url_of(database.url(), "nowhere"), &usual())
            .await
            .unwrap_err();
        assert!(
            nowhere.to_string().contains("nowhere at 127.0.0.1"),
            "{nowhere}"
        );
    }

    const RESTORATION: Restoration = Restoration {
        restored_us: 2,
        backup_us: 1,
    };

    async fn dumped(url: &str) -> Vec<u8> {
        let (mut dump, mut bytes) = (Dump::begin(url, &usual()).await.unwrap(), Vec::new());
        dump.output()
            .unwrap()
            .read_to_end(&mut bytes)
            .await
            .unwrap();
        dump.finish().await.unwrap();
        bytes
    }

    /// Whoever ends the process between any two of its steps.
    #[tokio::test]
    async fn what_was_restored_says_so_whoever_opens_it_first() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        drop(
            Db::open_postgres(database.url(), &PostgresOptions::default())
                .await
                .unwrap(),
        );
        let bytes = dumped(database.url()).await;
        let aside = Scratch::create(database.url(), &format!("restored_{}", std::process::id()))
            .await
            .unwrap();
        let mut cut = Restore::begin(aside.url(), 15, &usual(), &RESTORATION)
            .await
            .unwrap();
        cut.input()
            .unwrap()
            .write_all(&bytes[..bytes.len() / 2])
            .await
            .unwrap();
        cut.finish().await.unwrap_err();
        for options in [PostgresOptions::default(), PostgresOptions::existing()] {
            let half = Db::open_postgres(aside.url(), &options).await.unwrap_err();
            assert!(matches!(half, OpenError::Restoring { .. }), "{half}");
        }
        let mut whole = Restore::begin(aside.url(), 15, &usual(), &RESTORATION)
            .await
            .unwrap();
        whole.input().unwrap().write_all(&bytes).await.unwrap();
        whole.finish().await.unwrap();
        for _ in 0..2 {
            let db = Db::open_postgres(aside.url(), &PostgresOptions::default())
                .await
                .unwrap();
            assert_eq!(
                Catalog::new(&db).restoration().await.unwrap(),
                Some(RESTORATION)
            );
            db.close().await;
        }
        aside.remove().await.unwrap();
    }

    /// Nothing was begun.
    #[tokio::test]
    async fn a_restore_without_its_program_leaves_an_empty_database() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let aside = Scratch::create(database.url(), &format!("untouched_{}", std::process::id()))
            .await
            .unwrap();
        let newer = Restore::begin(aside.url(), 999, &usual(), &RESTORATION)
            .await
            .unwrap_err();
        assert!(newer.to_string().contains("pg_restore"), "{newer}");
        Db::open_postgres(aside.url(), &PostgresOptions::default())
            .await
            .unwrap()
            .close()
            .await;
        aside.remove().await.unwrap();
    }

    #[tokio::test]
    async fn a_dump_names_no_role_that_must_be_there() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        drop(
            Db::open_postgres(database.url(), &PostgresOptions::default())
                .await
                .unwrap(),
        );
        let bytes = dumped(database.url()).await;
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.starts_with("PGDMP")
                && text.contains("POLICY")
                && !text.contains("centwise_reader")
        );
    }

    /// Row-level security holds for whoever does not own the tables: such a dump would be of some
    /// roots only.
    #[tokio::test]
    async fn who_does_not_see_every_row_makes_no_dump() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        drop(
            Db::open_postgres(database.url(), &PostgresOptions::default())
                .await
                .unwrap(),
        );
        let (_, mut owner, _) = connect(database.url()).await.unwrap();
        let reader = format!("reads_{}", std::process::id());
        let make = format!(
            "create role {reader} login password 'secret'; grant usage on schema public to \
                {reader}; \
             grant select on all tables in schema public to {reader}"
        );
        owner.execute(AssertSqlSafe(make)).await.unwrap();
        let (_, server) = database.url().split_once('@').unwrap();
        let mut dump = Dump::begin(&format!("postgres://{reader}:secret@{server}"), &usual())
            .await
            .unwrap();
        tokio::io::copy(dump.output().unwrap(), &mut tokio::io::sink())
            .await
            .unwrap();
        let refused = dump.finish().await.unwrap_err().to_string();
        owner
            .execute(AssertSqlSafe(format!(
                "drop owned by {reader}; drop role {reader}"
            )))
            .await
            .unwrap();
        assert!(refused.contains("row-level security"), "{refused}");
    }
}
