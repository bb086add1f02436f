//! What a database URL names. A URL that is only half understood opens nothing: where it was taken
//! for a path, a typing error made a second, empty platform. It may hold a password, so that no
//! message repeats it.

use std::path::{Path, PathBuf};
use url::{ParseError, Url};

/// The file of the embedded database in its directory.
const FILE: &str = "centwise.db";
/// Parameters of a PostgreSQL URL that the driver understands; it passes over any other, so that
/// `?sslmod=require` would be a connection without TLS.
const PARAMETERS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];
const SSL_MODES_IN: [&str; 2] = ["sslmode", "ssl-mode"];
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];
const FILES: [&str; 7] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// Where the books are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    /// By its URL.
    Postgres(String),
}

/// Why a URL names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDatabaseUrl {
    #[error(
        "the database URL is neither postgres://…, sqlite:PATH nor an existing directory (its \
            text is not shown: it may contain a password). A new directory begins with / or ./; \
            leave the setting out for the embedded database under the data directory"
    )]
    Unknown,
    #[error(
        "the database URL names a file where a directory is expected: write sqlite:PATH for the \
            file, or name the directory that contains centwise.db"
    )]
    IsFile,
    #[error(
        "the database URL begins with `{0}:`; expected postgres://USER:PASSWORD@HOST/DATABASE, \
            sqlite:PATH or a directory"
    )]
    Scheme(String),
    #[error(
        "expected a path, but it contains `://` (its text is not shown: it may contain a \
            password). A database on a server is set with CENTWISE_DATABASE_URL \
            (--database-url), which begins with postgres://"
    )]
    UrlAsPath,
    #[error("`sqlite:` is followed by no path; expected sqlite:PATH")]
    NoPath,
    #[error("`sqlite:PATH` takes no parameters; the path has a `?`")]
    SqliteParameters,
    #[error(
        "the database URL does not parse: {0}. Special characters in a user name or password (@ \
            : / ? # % and spaces) must be percent-encoded: p%40ss for p@ss"
    )]
    Syntax(String),
    #[error(
        "the database URL has the unknown parameter `{0}`; expected sslmode, sslrootcert, \
            sslcert, sslkey, host, port, dbname, user, password, application_name or options"
    )]
    Parameter(String),
    #[error(
        "the database URL has an `@` after its first `/`, `?` or `#`. Special characters in a \
            user name or password (@ : / ? # % and spaces) must be percent-encoded: p%40ss for \
            p@ss"
    )]
    Unencoded,
    #[error(
        "`{0}` of the database URL is not one of disable, allow, prefer, require, verify-ca and \
            verify-full"
    )]
    SslMode(String),
    #[error(
        "the database URL names no {0}; expected postgres://USER:PASSWORD@HOST/DATABASE (a \
            socket's directory: %2Frun%2Fpostgresql as HOST)"
    )]
    Missing(&'static str),
    #[error(
        "`{parameter}` of the database URL names the file {file}, which contains no certificate \
            (-----BEGIN CERTIFICATE-----)"
    )]
    NoCertificate { parameter: String, file: String },
    #[error("the database URL has the parameter `{0}` twice")]
    Twice(String),
    #[error(
        "`{parameter}` of the database URL names the file {file}, which cannot be read: {error}"
    )]
    Unreadable {
        parameter: String,
        file: String,
        error: String,
    },
}

/// The database of a URL; without one the embedded one of the data directory.
///
/// # Errors
/// The URL is none of `postgres://…`, `sqlite:PATH` and a directory.
pub fn place(url: Option<&str>, data_dir: &Path) -> Result<Place, BadDatabaseUrl> {
    let Some(url) = url else {
        return Ok(Place::File(data_dir.join(FILE)));
    };
    if is_postgres(url) {
        check_postgres(url)?;
        return Ok(Place::Postgres(url.to_owned()));
    }
    if let Some(path) = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
    {
        return file(path);
    }
    if let Some((scheme, _)) = url.split_once("://")
        && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    {
        return Err(BadDatabaseUrl::Scheme(scheme.to_owned()));
    }
    if is_url(Path::new(url)) {
        return Err(BadDatabaseUrl::UrlAsPath);
    }
    let stated = ["/", "./", "../"]
        .iter()
        .any(|start| url.starts_with(start))
        || url == "."
        || url == "..";
    // A directory of a file's name would be a second, empty platform.
    let is_named_as_file = [".db", ".sqlite", ".sqlite3"]
        .iter()
        .any(|end| url.ends_with(end))
        && !Path::new(url).is_dir();
    if stated && (is_named_as_file || Path::new(url).is_file()) {
        return Err(BadDatabaseUrl::IsFile);
    }
    match stated || Path::new(url).is_dir() {
        true => Ok(Place::File(Path::new(url).join(FILE))),
        false => Err(BadDatabaseUrl::Unknown),
    }
}

pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// No path that anybody means has this in it.
pub fn is_url(path: &Path) -> bool {
    path.to_string_lossy().contains("://")
}

/// A file, or the directory that it lies in.
fn file(path: &str) -> Result<Place, BadDatabaseUrl> {
    if path.is_empty() {
        return Err(BadDatabaseUrl::NoPath);
    }
    if is_url(Path::new(path)) {
        return Err(BadDatabaseUrl::UrlAsPath);
    }
    if path.contains('?') {
        return Err(BadDatabaseUrl::SqliteParameters);
    }
    let is_directory = path.ends_with('/') || Path::new(path).is_dir();
    Ok(Place::File(if is_directory {
        Path::new(path).join(FILE)
    } else {
        PathBuf::from(path)
    }))
}

fn check_postgres(url: &str) -> Result<(), BadDatabaseUrl> {
    // The rest of a password, taken for a database or a parameter, which messages name.
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    if behind_scheme
        .split_once(['/', '?', '#'])
        .is_some_and(|(_, rest)| rest.contains('@'))
    {
        return Err(BadDatabaseUrl::Unencoded);
    }
    let parsed =
        Url::parse(url).map_err(|error: ParseError| BadDatabaseUrl::Syntax(error.to_string()))?;
    if parsed.fragment().is_some() {
        return Err(BadDatabaseUrl::Syntax("it has a `#`".to_owned()));
    }
    // The environment or a default would take its place (PGHOST, the user's name), in silence.
    let has = |parameter: &str| {
        parsed
            .query_pairs()
            .any(|(name, value)| name == parameter && !value.is_empty())
    };
    if parsed.host_str().is_none_or(str::is_empty) && !has("host") {
        return Err(BadDatabaseUrl::Missing("host"));
    }
    if parsed.path().trim_matches('/').is_empty() && !has("dbname") {
        return Err(BadDatabaseUrl::Missing("database"));
    }
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in parsed.query_pairs() {
        if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            return Err(BadDatabaseUrl::Parameter(name.into_owned()));
        }
        if SSL_MODES_IN.contains(&&*name) && !SSL_MODES.contains(&&*value) {
            return Err(BadDatabaseUrl::SslMode(name.into_owned()));
        }
        if FILES.contains(&&*name) {
            check_file(&name, &value)?;
        }
        if seen.contains(&name.to_string()) {
            return Err(BadDatabaseUrl::Twice(name.into_owned()));
        }
        seen.push(name.into_owned());
    }
    Ok(())
}

fn check_file(name: &str, file: &str) -> Result<(), BadDatabaseUrl> {
    let (parameter, file) = (name.to_owned(), file.to_owned());
    match std::fs::read(&file) {
        Err(error) => Err(BadDatabaseUrl::Unreadable {
            parameter,
            file,
            error: error.to_string(),
        }),
        Ok(bytes)
            if !name.contains("key")
                && !String::from_utf8_lossy(&bytes).contains("BEGIN CERTIFICATE") =>
        {
            Err(BadDatabaseUrl::NoCertificate { parameter, file })
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, want: Result<Place, BadDatabaseUrl>) {
        assert_eq!(
            place(Some(url), Path::new("./centwise-data")),
            want,
            "{url}"
        );
    }

    fn in_file(path: &str) -> Result<Place, BadDatabaseUrl> {
        Ok(Place::File(PathBuf::from(path)))
    }

    #[test]
    fn urls_name_files_directories_and_servers() {
        assert_eq!(
            place(None, Path::new("./centwise-data")),
            in_file("./centwise-data/centwise.db")
        );
        let here = std::env::temp_dir().display().to_string();
        for (url, path) in [
            ("sqlite:a/b.db", "a/b.db"),
            ("sqlite:///var/c.db", "/var/c.db"),
            ("sqlite:new/", "new/centwise.db"),
            ("./books", "./books/centwise.db"),
            ("/srv/books", "/srv/books/centwise.db"),
            (&format!("sqlite:{here}"), &format!("{here}/centwise.db")),
            (&here, &format!("{here}/centwise.db")),
        ] {
            check(url, in_file(path));
        }
        let socket = "postgres://centwise@%2Fvar%2Frun%2Fpostgresql/centwise";
        for url in [
            "postgres://h/d",
            "postgresql://u:p%40ss@h:5432/d?sslmode=verify-full",
            socket,
        ] {
            check(url, Ok(Place::Postgres(url.to_owned())));
        }
    }

    /// Each of these made a new, empty platform, or a connection without TLS.
    #[test]
    fn what_is_half_understood_opens_nothing() {
        use BadDatabaseUrl::*;
        for url in [
            "host=db user=x password=geheim",
            "db.example.com/centwise",
            "books-that-are-not-there",
            "centwise:geheim@db/centwise",
            "",
        ] {
            check(url, Err(Unknown));
        }
        check(
            "postgers://u:geheim@h/d",
            Err(Scheme("postgers".to_owned())),
        );
        check("mysql://h/d", Err(Scheme("mysql".to_owned())));
        check("sqlite:", Err(NoPath));
        // Of a file, a directory of its name.
        check("./x.db", Err(IsFile));
        let file = std::env::current_exe().unwrap().display().to_string();
        check(&file, Err(IsFile));
        for url in [
            "sqlite:postgres://u:geheim@h/d",
            "sqlite://postgres://u:geheim@h",
            "./postgres://u:geheim@h/d",
            "/postgres://u:geheim@h",
        ] {
            check(url, Err(UrlAsPath));
        }
        check("sqlite:a.db?mode=ro", Err(SqliteParameters));
        check(
            "postgres://u:geheim@h/d?sslmod=require",
            Err(Parameter("sslmod".to_owned())),
        );
        check(
            "postgres://h/d?sslmode=disable&sslmode=require",
            Err(Twice("sslmode".to_owned())),
        );
        check("postgres://", Err(Missing("host")));
        check("postgres://u:p@h", Err(Missing("database")));
        check("postgres://u:p@h:5432/", Err(Missing("database")));
        check(
            "postgres://h/d?hostaddr=127.0.0.1",
            Err(Parameter("hostaddr".to_owned())),
        );
        let text = tempfile::NamedTempFile::new().unwrap();
        let (parameter, file) = ("sslrootcert".to_owned(), text.path().display().to_string());
        check(
            &format!("postgres://h/d?sslrootcert={file}"),
            Err(NoCertificate { parameter, file }),
        );
        check(
            "postgres://h/d?sslmode=verify_full",
            Err(SslMode("sslmode".to_owned())),
        );
    }

    #[test]
    fn no_message_shows_a_secret() {
        for url in [
            "host=db user=x password=geheim",
            "centwise:geheim@db/centwise",
            "postgers://u:geheim@h/d",
            "postgres://u:geh/geheim@h/d",
            "postgres://u:geheim#x@h/d",
            "postgres://u:geheim@h:x/d",
            "postgres://u:geheim@h/d#x",
            "postgres://u:geheim@h/d?sslrootcert=/not/there.pem",
            "postgres://u:12/34geheim@h/d",
            "postgres://u:12?34geheim@h/d",
            "postgres://u:/geheim@127.0.0.1/d",
            "postgres://u:12#geheim@h/d",
            "postgres://u:geheim@h/d?sslmode=require?password=geheim",
            "postgres://u@h/d?password=gehe@im",
        ] {
            let message = place(Some(url), Path::new(".")).unwrap_err().to_string();
            assert!(!message.contains("geheim"), "{url}: {message}");
        }
        let missing = place(
            Some("postgres://h/d?sslrootcert=/not/there.pem"),
            Path::new("."),
        )
        .unwrap_err()
        .to_string();
        assert!(
            missing.contains("sslrootcert") && missing.contains("/not/there.pem"),
            "{missing}"
        );
        let encoded = place(Some("postgres://u:geh/eim@h/d"), Path::new("."))
            .unwrap_err()
            .to_string();
        assert!(encoded.contains("p%40ss for p@ss"), "{encoded}");
    }
}
