//! `deploy/`: every command of the units, the image and the compose file is run as it stands there,
//! with its own variables, over a throw-away installation. A command or an option that the program
//! does not know fails here.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const COMPOSE: &str = include_str!("../../deploy/compose.yaml");
const IMAGE: &str = include_str!("../../deploy/Dockerfile");
const NIGHTLY: &str = include_str!("../../deploy/nightly.sh");
const ROLES: &str = include_str!("../../deploy/postgres/roles.sql");
const SETTINGS: &str = include_str!("../../.env.example");
const SERVER: &str = "centwise.service";
const FAILED: &str = "centwise-failed@.service";
/// In the order of a night.
const JOBS: [&str; 4] = [
    "centwise-backup.service",
    "centwise-restore-check.service",
    "centwise-verify.service",
    "centwise-health-check.service",
];
const RETENTION: &str = "centwise-retention.service";

type Variables = BTreeMap<String, String>;

/// The paths of a machine, in a folder of this test.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "data", "backups", "etc"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        symlink(
            env!("CARGO_BIN_EXE_centwise-under-test"),
            folder.path().join("bin/centwise"),
        )
        .unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// With the places of this machine.
    fn here(&self, text: &str) -> String {
        let places = [
            ("/usr/local/bin", "bin"),
            ("/var/lib/centwise-backups", "backups"),
            ("/var/backups/centwise", "backups"),
            ("/var/lib/centwise", "data"),
            ("/etc/centwise", "etc"),
        ];
        places.iter().fold(text.to_owned(), |text, (there, here)| {
            text.replace(there, self.path(here).to_str().unwrap())
        })
    }

    fn unit(&self, name: &str) -> Unit {
        Unit::read(&self.here(&std::fs::read_to_string(units().join(name)).unwrap()))
    }

    /// The settings of the machine: what there is, each with its example's value, but for what
    /// these say.
    fn set(&self, settings: &str) {
        std::fs::write(self.path("etc/env"), format!("{SETTINGS}\n{settings}\n")).unwrap();
    }

    /// Their names are of a second: the next one could have the same.
    fn without_backups(&self) {
        for entry in std::fs::read_dir(self.path("backups")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    fn command(&self, words: &[String], variables: &Variables) -> Command {
        let mut command = Command::new(&words[0]);
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        command
            .args(&words[1..])
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", path)
            .envs(variables);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn ran(&self, words: &[String], variables: &Variables) -> Output {
        self.command(words, variables).output().await.unwrap()
    }

    /// A server, and where it listens.
    async fn serving(&self, words: &[String], variables: &Variables) -> (Child, String) {
        let mut child = self
            .command(words, variables)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{words:?} ended"));
            if let Some(url) = line.strip_prefix("listening on http://") {
                return (child, url.to_owned());
            }
        }
    }

    /// Every job of a night beside a server, one after the other, as its unit says.
    async fn night(&self, jobs: &[&str]) {
        for name in jobs {
            let unit = self.unit(name);
            let output = self.ran(&unit.start(), &unit.variables()).await;
            // A look at the books may find something that a small machine lacks.
            let well = output.status.code() == Some(0)
                || *name == JOBS[3] && output.status.code() == Some(1);
            assert!(well, "{name}: {output:?}");
        }
    }
}

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd")
}

/// Keys and values of a unit's file.
struct Unit(Vec<(String, String)>);

impl Unit {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn values<'u>(&'u self, key: &'u str) -> impl Iterator<Item = &'u str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// The one command that it runs.
    fn start(&self) -> Vec<String> {
        let commands: Vec<&str> = self.values("ExecStart").collect();
        let [command] = commands[..] else {
            panic!("{commands:?}")
        };
        words(command)
    }

    fn variables(&self) -> Variables {
        let named = |text: &str| {
            text.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .unwrap()
        };
        let mut variables: Variables = self.values("Environment").map(named).collect();
        for file in self.values("EnvironmentFile") {
            let text = std::fs::read_to_string(file.trim_start_matches('-')).unwrap_or_default();
            let lines = text
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            variables.extend(
                lines
                    .map(named)
                    .map(|(name, value)| (name, value.trim_matches('\'').to_owned())),
            );
        }
        variables
    }
}

/// As systemd splits a command: at spaces, but for what stands between quotes; `$$` is `$`.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut is_quoted) = (vec![String::new()], false);
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    assert!(!is_quoted, "{command}");
    words.iter().map(|word| word.replace("$$", "$")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_units_run_over_the_embedded_database() {
    let machine = Machine::new();
    machine.set("CENTWISE_LISTEN=127.0.0.1:0");
    let server = machine.unit(SERVER);
    let (_server, _) = machine.serving(&server.start(), &server.variables()).await;
    machine.night(&JOBS).await;
    let retention = machine.unit(RETENTION);
    let output = machine
        .ran(&retention.start(), &retention.variables())
        .await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("PostgreSQL") && !said.contains("Usage:"),
        "{output:?}"
    );

    // Whoever is to hear of it gets the unit's name.
    let tell = machine.path("etc/on-failure");
    std::fs::write(&tell, "#!/bin/sh\necho \"$1 failed\"\n").unwrap();
    std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let failed = machine.unit(FAILED);
    let command: Vec<String> = failed
        .start()
        .iter()
        .map(|word| word.replace("%i", RETENTION))
        .collect();
    let told = machine.ran(&command, &failed.variables()).await;
    assert_eq!(
        String::from_utf8(told.stdout).unwrap(),
        format!("{RETENTION} failed\n")
    );
}

#[test]
fn every_unit_is_run_and_its_failure_told() {
    let names = std::fs::read_dir(units())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (services, others): (Vec<String>, Vec<String>) =
        names.partition(|name| name.ends_with(".service"));
    for name in &services {
        assert!(
            [SERVER, FAILED, RETENTION].contains(&name.as_str()) || JOBS.contains(&name.as_str()),
            "{name} is run by no test"
        );
        let unit = Unit::read(&std::fs::read_to_string(units().join(name)).unwrap());
        match name.as_str() {
            // The health check says by itself what changed, and not the same every five minutes.
            FAILED | "centwise-health-check.service" => {}
            // A server whose database comes later is never given up, so it does not fail for good.
            SERVER => assert_eq!(
                unit.values("StartLimitIntervalSec").collect::<Vec<_>>(),
                ["0"]
            ),
            _ => assert_eq!(
                unit.values("OnFailure").collect::<Vec<_>>(),
                ["centwise-failed@%n.service"],
                "{name}"
            ),
        }
        let begun = unit
            .values("OnSuccess")
            .all(|next| services.iter().any(|service| service == next));
        assert!(begun, "{name} begins a unit that is not there");
    }
    for timer in others.iter().filter_map(|name| name.strip_suffix(".timer")) {
        assert!(
            services.contains(&format!("{timer}.service")),
            "{timer}.timer begins nothing"
        );
    }
}

/// What systemd itself makes of them: keys, sections, times.
#[tokio::test]
async fn systemd_understands_the_units() {
    let machine = Machine::new();
    let tell = machine.path("etc/on-failure");
    std::fs::write(&tell, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(units())
        .unwrap()
        .map(|entry| entry.unwrap())
    {
        let file = machine.0.path().join(entry.file_name());
        if file
            .extension()
            .is_some_and(|kind| kind == "service" || kind == "timer")
        {
            std::fs::write(
                &file,
                machine.here(&std::fs::read_to_string(entry.path()).unwrap()),
            )
            .unwrap();
            files.push(file);
        }
    }
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&files)
        .output()
        .await;
    let Ok(output) = verify else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "there is no systemd-analyze"
        );
        return;
    };
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The same file for systemd, compose and a shell.
#[tokio::test]
async fn a_shell_reads_the_settings_as_systemd_does() {
    let machine = Machine::new();
    let set: String = SETTINGS
        .lines()
        .map(|line| {
            format!(
                "{}\n",
                line.strip_prefix("#CENTWISE_")
                    .map_or(line.to_owned(), |rest| format!("CENTWISE_{rest}"))
            )
        })
        .collect();
    std::fs::write(machine.path("etc/env"), set).unwrap();
    let unit = machine.unit("centwise-verify.service");
    let command = ["sh", "-c", "set -aeu; . ./etc/env; env -0"].map(str::to_owned);
    let output = machine.ran(&command, &Variables::new()).await;
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.starts_with("CENTWISE_"));
    let by_shell: Variables = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(
        by_shell.len() > 30 && by_shell["CENTWISE_MAIL_FROM"].ends_with('>'),
        "{by_shell:?}"
    );
    assert_eq!(by_shell, unit.variables());
}

/// A server with the roles of `roles.sql`, under names of this test.
struct Roles {
    name: String,
    superuser: String,
}

impl Roles {
    fn renamed(&self, text: &str) -> String {
        text.replace("centwise_reader", "\0")
            .replace("centwise", &self.name)
            .replace('\0', "centwise_reader")
    }

    async fn make(superuser: &str) -> Self {
        let roles = Self {
            name: format!("deployed_{}", std::process::id()),
            superuser: superuser.to_owned(),
        };
        let mut connection = PgConnection::connect(superuser).await.unwrap();
        let lines = ROLES
            .lines()
            .filter(|line| !line.starts_with("--") && !line.starts_with('\\'));
        let text = roles
            .renamed(&lines.collect::<Vec<_>>().join("\n"))
            .replace(":'db_password'", "'d'")
            .replace(":'check_password'", "'c'");
        for statement in text
            .split(';')
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
        {
            if let Err(error) = connection
                .execute(AssertSqlSafe(statement.to_owned()))
                .await
            {
                // Of all tests together.
                assert!(
                    statement.starts_with("create role centwise_reader"),
                    "{statement}: {error}"
                );
            }
        }
        roles
    }

    /// The variables of a service of the compose file, with this server in place of its own.
    fn variables(&self, machine: &Machine) -> Variables {
        let host = self
            .superuser
            .rsplit_once('@')
            .unwrap()
            .1
            .split('/')
            .next()
            .unwrap();
        let lines = COMPOSE
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("CENTWISE_") || line.starts_with("CHECK_DATABASE_URL"));
        let value = |value: &str| match value.split_once("${") {
            Some((before, rest)) => {
                let (name, after) = (&rest[..1].to_lowercase(), rest.split_once('}').unwrap().1);
                self.renamed(&format!("{before}{name}{after}"))
                    .replace("postgres:5432", host)
            }
            None => machine.here(value),
        };
        let pairs = lines.map(|line| line.split_once(": ").unwrap());
        pairs
            .map(|(name, text)| (name.to_owned(), value(text)))
            .collect()
    }

    async fn remove(self) {
        let mut connection = PgConnection::connect(&self.superuser).await.unwrap();
        for statement in [
            "drop database NAME with (force)",
            "drop role NAME_check",
            "drop role NAME",
        ] {
            connection
                .execute(AssertSqlSafe(statement.replace("NAME", &self.name)))
                .await
                .unwrap();
        }
    }
}

/// Words of a line such as `CMD ["serve"]`, or `command: [serve]`.
fn list(text: &str, before: &str) -> Vec<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(before))
        .unwrap_or_else(|| panic!("{before}"));
    if let Ok(words) = serde_json::from_str(line) {
        return words;
    }
    let inner = line.trim().trim_start_matches('[').trim_end_matches(']');
    inner
        .split(", ")
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// Roles without any right beyond what each is for: the server's own, and the check's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_containers_run_with_roles_that_are_no_superusers() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let (machine, roles) = (Machine::new(), Roles::make(database.url()).await);
    let mut variables = roles.variables(&machine);
    let check = variables.remove("CHECK_DATABASE_URL").unwrap();
    variables.insert("CENTWISE_LISTEN".to_owned(), "127.0.0.1:0".to_owned());

    let command = [list(IMAGE, "ENTRYPOINT "), list(COMPOSE, "    command: ")].concat();
    assert_eq!(
        list(IMAGE, "CMD "),
        command[1..],
        "what the image does by itself"
    );
    let (server, address) = machine.serving(&command, &variables).await;
    let health = list(IMAGE, "    CMD ")
        .into_iter()
        .map(|word| word.replace("127.0.0.1/8080", &address.replace(':', "/")));
    let healthy = machine
        .ran(&health.collect::<Vec<_>>(), &Variables::new())
        .await;
    assert!(healthy.status.success(), "{healthy:?}");

    assert!(
        COMPOSE.contains("./nightly.sh:/nightly.sh:ro") && COMPOSE.contains("if sh /nightly.sh;"),
        "what is run every night"
    );
    std::fs::write(machine.path("nightly.sh"), machine.here(NIGHTLY)).unwrap();
    let night = ["sh", "nightly.sh"].map(str::to_owned);
    let with_check: Variables = variables
        .clone()
        .into_iter()
        .chain([("CHECK_DATABASE_URL".to_owned(), check.clone())])
        .collect();
    let output = machine.ran(&night, &with_check).await;
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(
        output.status.success() && said.matches("the books are right").count() == 2,
        "{output:?}"
    );
    assert!(!errors.contains("second isolation layer"), "{errors}");

    machine.without_backups();
    // The server's role may make no database: the proof says what to grant, and the night has
    // failed.
    let output = machine.ran(&night, &variables).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1)
            && errors.contains(&format!("alter role \"{}\" createdb", roles.name)),
        "{output:?}"
    );

    machine.without_backups();
    // The units on the same database.
    let url = |url: &str| format!("CENTWISE_DATABASE_URL='{url}'");
    machine.set(&url(&variables["CENTWISE_DATABASE_URL"]));
    std::fs::write(machine.path("etc/check.env"), url(&check)).unwrap();
    machine.night(&JOBS).await;
    machine.night(&[RETENTION]).await;
    drop(server);
    roles.remove().await;
}
