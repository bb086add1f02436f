//! `docs/security.md` is complete: every operation that changes anything has a row, and every test
//! it names exists.

use crate::isolation::documented;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/security.md");

/// The cells of every row of the table of operations.
fn rows() -> Vec<Vec<&'static str>> {
    let table = PAGE.lines().filter(|line| line.starts_with("| `"));
    table
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim_matches(|c| c == '|' || c == ' '))
                .collect()
        })
        .collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != ".git" {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_operation_that_changes_anything_has_a_row() {
    let rows = rows();
    let listed: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| quoted(row[0]))
        .map(str::to_owned)
        .collect();
    let changing: BTreeSet<String> = documented()
        .into_iter()
        .filter(|operation| !operation.starts_with("GET "))
        .collect();
    let missing: Vec<_> = changing.difference(&listed).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
    let gone: Vec<_> = listed.difference(&changing).collect();
    assert!(gone.is_empty(), "no such operation: {gone:?}");
}

#[test]
fn every_row_names_a_test_that_exists() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = String::new();
    sources(&root, &mut all);
    let mut wrong = Vec::new();
    for row in rows() {
        let [operation, .., tests] = &row[..] else {
            panic!("{row:?}")
        };
        let named: Vec<&str> = quoted(tests).collect();
        if row.len() != 5 || named.is_empty() {
            wrong.push(format!("{operation}: {row:?}"));
        }
        wrong.extend(
            named
                .iter()
                .filter(|test| !all.contains(&format!("fn {test}(")))
                .map(|test| format!("{operation}: no test {test}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
