//! The pages that say every command run as they stand: their blocks of bash in one shell, in an
//! empty folder, on a free port.
//!
//! A block of `json` or `text` behind one of bash is what it prints: white space does not count,
//! and `…` stands for anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Kept for a page that goes on where another stopped.
const LAST: &str = "bash end";
const MARK: &str = "@@block ";

struct Step {
    commands: String,
    prints: Option<String>,
}

/// Blocks between fences, with what stands behind the first fence.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join("docs")
            .join(page),
    )
    .unwrap();
    let (mut found, mut open) = (Vec::new(), None::<(String, String)>);
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, block))) => *block = format!("{block}{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    found
}

fn steps(pages: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, page) in pages.iter().enumerate() {
        for (kind, block) in blocks(page) {
            match (kind.as_str(), steps.last_mut()) {
                (LAST, _) if index + 1 < pages.len() => {}
                ("bash" | LAST, _) => steps.push(Step {
                    commands: block,
                    prints: None,
                }),
                ("json" | "text", Some(step)) if step.prints.is_none() => step.prints = Some(block),
                _ => panic!("{page}: a block of `{kind}` belongs to no command"),
            }
        }
    }
    steps
}

/// In an empty folder, with nothing in the environment but where to listen.
fn run(steps: &[Step], folder: &Path) -> Output {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_centwise-under-test"),
        bin.join("centwise"),
    )
    .unwrap();
    let (work, free) = (
        folder.join("work"),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    std::fs::create_dir(&work).unwrap();
    let listen = free.local_addr().unwrap().to_string();
    drop(free);
    let ends = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT";
    let marked = steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("echo '{MARK}{index}'\n{}", step.commands));
    let script = format!("set -euo pipefail\n{ends}\n{}", marked.collect::<String>());
    let path: Vec<PathBuf> = std::iter::once(bin)
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap()))
        .collect();
    Command::new("bash")
        .args(["-c", &script])
        .current_dir(work)
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", folder)
        .env("CENTWISE_LISTEN", listen)
        .output()
        .unwrap()
}

/// Whether what is printed is what the page says, where `…` is anything.
fn is_as_said(said: &str, printed: &str) -> bool {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let (said, printed) = (bare(said), bare(printed));
    let mut parts = said.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    rest.ends_with(last)
}

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must know"
)]
fn check(pages: &[&str]) {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is not installed");
        eprintln!("{pages:?}: skipped, curl is not installed");
        return;
    }
    let (steps, folder) = (steps(pages), tempfile::tempdir().unwrap());
    let ran = run(&steps, folder.path());
    let printed = String::from_utf8(ran.stdout).unwrap();
    let mut wrong = String::new();
    for (index, step) in steps.iter().enumerate() {
        let behind = printed
            .split_once(&format!("{MARK}{index}\n"))
            .map_or("", |(_, behind)| behind);
        let got = behind.split_once(MARK).map_or(behind, |(got, _)| got);
        if step
            .prints
            .as_ref()
            .is_some_and(|said| !is_as_said(said, got))
        {
            let said = step.prints.as_deref().unwrap_or_default();
            wrong += &format!(
                "\n$ {}--- the page says\n{said}--- it printed\n{got}",
                step.commands
            );
        }
    }
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && wrong.is_empty(),
        "{pages:?}: {}\n{wrong}\n{log}",
        ran.status
    );
}

#[test]
fn the_first_chain_runs_as_written() {
    check(&["first-chain.md"]);
}

#[test]
fn repairs_run_as_written() {
    check(&["first-chain.md", "repair.md"]);
}

#[test]
fn what_differs_from_run_to_run_is_left_out_and_nothing_else() {
    assert!(is_as_said(
        "{\"id\": \"ten_…\",\n \"cents\": 400}",
        "{\"id\":\"ten_0d\",\"cents\":400}\n"
    ));
    assert!(is_as_said(
        "{…\"cents\":400,…}",
        "{\"a\":1,\"cents\":400,\"b\":2}"
    ));
    for other in [
        "{\"id\":\"ten_0d\",\"cents\":401}",
        "{\"id\":\"crd_0d\",\"cents\":400}",
        "{\"id\":\"ten_0d\",\"cents\":400}x",
        "",
    ] {
        assert!(
            !is_as_said("{\"id\":\"ten_…\",\"cents\":400}", other),
            "{other}"
        );
    }
}

/// Every reason that the code gives, as it stands in its sources.
#[test]
fn every_reason_of_unrated_usage_is_on_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = read("docs/unrated.md");
    let between = |text: &str, from: &str, to: &str| {
        text.split_once(from)
            .unwrap()
            .1
            .split_once(to)
            .unwrap()
            .0
            .to_owned()
    };
    let mut said = between(&read("rating/src/usage.rs"), "impl Unrated {", "\n}\n");
    said += &between(
        &read("tenants/src/chain.rs"),
        "pub const fn code(",
        "\n    }\n",
    );
    let constants = [
        "tenants/src/chain.rs",
        "prepare/src/open.rs",
        "metering/src/retention_start.rs",
    ]
    .map(read)
    .concat();
    said.extend(
        constants
            .lines()
            .filter(|line| line.contains("pub const") && line.contains(": &str = \""))
            .map(|line| format!("{line}\n")),
    );
    let prepare = read("prepare/src/preparer.rs") + &read("prepare/src/preparer/plan.rs");
    said.extend(
        prepare
            .match_indices("UnratedReason(\"")
            .map(|(at, found)| {
                prepare[at + found.len() - 1..]
                    .split_inclusive(')')
                    .next()
                    .unwrap()
            }),
    );
    let codes = said.split('"').skip(1).step_by(2).chain([
        "exhausted",
        "unknown_customer",
        "ambiguous_customer",
        "card_not_approved",
    ]);
    let codes: std::collections::BTreeSet<&str> = codes.collect();
    assert!(codes.len() > 15, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !page.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
