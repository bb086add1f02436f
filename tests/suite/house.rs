//! The crates and their arrows, as ARCHITECTURE.md draws them: made anew by
//! `UPDATE_ARCHITECTURE=1 cargo test --test suite house`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PAGE: &str = "../ARCHITECTURE.md";
const BEGIN: &str = "<!-- crates: made by tests/suite/house.rs -->\n";
const END: &str = "<!-- end of crates -->\n";
/// What tests alone depend on is no part of the house.
const OF_TESTS: [&str; 2] = ["benches", "tests"];

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Each crate of the workspace with those that it depends on.
fn arrows() -> Arrows {
    let workspace = std::fs::read_to_string("../Cargo.toml").unwrap();
    let members = workspace
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap();
    let is_of_house = |name: &&str| {
        name.starts_with(char::is_alphabetic) && !OF_TESTS.iter().any(|of| name.starts_with(of))
    };
    let crates: Vec<&str> = members.split('"').filter(is_of_house).collect();
    let dependencies = |name: &&str| {
        let manifest =
            std::fs::read_to_string(Path::new("..").join(name).join("Cargo.toml")).unwrap();
        let section = manifest
            .split("\n[")
            .find(|section| section.starts_with("dependencies]"));
        let named = section
            .into_iter()
            .flat_map(str::lines)
            .filter_map(|line| line.split_once('.'));
        let known = named.filter(|(dependency, _)| crates.contains(dependency));
        known
            .map(|(dependency, _)| dependency.to_owned())
            .collect::<BTreeSet<String>>()
    };
    crates
        .iter()
        .map(|name| ((*name).to_owned(), dependencies(name)))
        .collect()
}

fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    arrows[from]
        .iter()
        .any(|next| next == to || reaches(arrows, next, to))
}

/// Arrows that others imply are left out.
fn drawn(arrows: &Arrows) -> String {
    let mut picture = String::from("```mermaid\ngraph TD\n");
    for (from, all) in arrows {
        let is_implied = |to: &str| {
            all.iter()
                .any(|other| other != to && reaches(arrows, other, to))
        };
        for to in all.iter().filter(|to| !is_implied(to)) {
            picture.push_str(&format!("  {from} --> {to}\n"));
        }
    }
    picture.push_str("```\n");
    picture
}

#[test]
fn the_picture_of_the_crates_is_that_of_their_manifests() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("the picture begins somewhere");
    let (picture, after) = rest.split_once(END).expect("the picture ends somewhere");
    let made = drawn(&arrows());
    if std::env::var_os("UPDATE_ARCHITECTURE").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert_eq!(picture, made);
    }
}

/// Databases, clocks and networks are not for those that only work things out.
#[test]
fn pure_crates_depend_on_pure_crates_alone() {
    let arrows = arrows();
    for pure in [
        "rating", "tenants", "ledger", "problem", "formats", "decks", "journal", "i18n",
    ] {
        let manifest =
            std::fs::read_to_string(Path::new("..").join(pure).join("Cargo.toml")).unwrap();
        for impure in ["tokio", "sqlx", "rusqlite", "hyper", "getrandom"] {
            assert!(
                !manifest.contains(&format!("\n{impure}.workspace")),
                "{pure}: {impure}"
            );
        }
        for impure in ["db", "catalog", "supervisor", "metering"] {
            assert!(!reaches(&arrows, pure, impure), "{pure}: {impure}");
        }
    }
}

/// Names of libraries that are not those of their packages.
const LIBRARIES: [(&str, &str); 3] = [
    ("async-stripe", "stripe"),
    ("async-stripe-", "stripe-"),
    ("iban_validate", "iban"),
];

fn library(package: &str) -> String {
    let known = LIBRARIES
        .iter()
        .find_map(|(of, library)| match of.strip_suffix('-') {
            Some(_) => Some(format!("{library}{}", package.strip_prefix(of)?)),
            None => (package == *of).then(|| (*library).to_owned()),
        });
    known
        .unwrap_or_else(|| package.to_owned())
        .replace('-', "_")
}

/// The text of every Rust file in this folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What a manifest names, its sources use: nobody compiles what is not needed.
#[test]
fn every_dependency_is_used() {
    let workspace = std::fs::read_to_string("../Cargo.toml").unwrap();
    let members = workspace
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap();
    let (mut unused, mut named) = (Vec::new(), BTreeSet::new());
    for member in members
        .split('"')
        .filter(|name| name.starts_with(char::is_alphabetic))
    {
        let folder = Path::new("..").join(member);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let mut text = String::new();
        sources(&folder, &mut text);
        let sections = manifest
            .split("\n[")
            .filter(|section| section.contains("dependencies]"));
        for line in sections.flat_map(str::lines) {
            let Some(package) = line.strip_suffix(".workspace = true") else {
                continue;
            };
            let library = library(package);
            let is_used = [
                format!("{library}::"),
                format!("{library}!"),
                format!("use {library}"),
            ]
            .iter()
            .any(|used| text.contains(used));
            if !is_used {
                unused.push(format!("{member}: {package}"));
            }
            named.insert(package.to_owned());
        }
    }
    let (_, dependencies) = workspace.split_once("[workspace.dependencies]\n").unwrap();
    let (dependencies, _) = dependencies.split_once("\n[").unwrap();
    let all = dependencies
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(package, _)| package))
        .filter(|package| !package.starts_with('#'));
    unused.extend(
        all.filter(|package| !named.contains(*package))
            .map(|package| format!("the workspace: {package}")),
    );
    assert_eq!(unused, Vec::<String>::new());
}
