//! Rules of the repository that a reader would otherwise have to remember.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Beyond this a file splits by noun.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(below: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// Every file below the source folders, by its path in the repository.
fn below_sources(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "services", "gateway"] {
        files(&root().join(folder), extension, &mut found);
    }
    found.iter().map(|path| path.strip_prefix(root()).unwrap().to_owned()).collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let found = below_sources("rs");
    assert!(found.len() > 50, "the sources were not found");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(root().join(path)).unwrap())).collect()
}

#[track_caller]
fn check(rule: &str, offenders: impl Iterator<Item = String>) {
    let offenders: Vec<_> = offenders.collect();
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

#[test]
fn files_stay_readable() {
    let counted = sources().into_iter().map(|(path, text)| (path, text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > LINES_MAX);
    check("files are at most 600 lines", long.map(|(path, lines)| format!("{} has {lines}", path.display())));
}

#[test]
fn every_crate_says_what_it_owns() {
    let roots = sources().into_iter().filter(|(path, _)| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"));
    let silent = roots.filter(|(_, text)| !text.starts_with("//! "));
    check("lib.rs and main.rs begin with a module doc", silent.map(|(path, _)| path.display().to_string()));
}

#[test]
fn one_crate_names_the_database_drivers() {
    let drivers = [concat!("sqlx", "::"), concat!("rusqlite", "::")];
    let names_one = |text: &str| drivers.iter().any(|driver| text.contains(driver));
    let named = sources().into_iter().filter(|(path, text)| !path.starts_with("crates/store") && names_one(text));
    check("the drivers are named in crates/store only", named.map(|(path, _)| path.display().to_string()));
}

#[test]
fn migrations_come_in_pairs() {
    let found = below_sources("sql");
    assert!(!found.is_empty(), "the migrations were not found");
    let twin = |path: &PathBuf| {
        let text = path.display().to_string();
        if text.contains("/sqlite/") {
            text.replace("/sqlite/", "/postgres/")
        } else {
            text.replace("/postgres/", "/sqlite/")
        }
    };
    let single = found.iter().filter(|path| !root().join(twin(path)).is_file());
    check("a migration exists for both databases", single.map(|path| path.display().to_string()));
}

/// `section.key` of every line of default.toml.
fn configuration_keys() -> Vec<String> {
    let defaults = fs::read_to_string(root().join("crates/runtime/src/default.toml")).unwrap();
    let mut section = "";
    let mut keys = Vec::new();
    for line in defaults.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            keys.push(format!("{section}.{}", key.trim()));
        }
    }
    assert!(keys.len() > 30, "the configuration was not found");
    keys
}

/// The reference of the configuration is whole and holds nothing else: what code reads stands in default.toml, and what
/// stands there is read.
#[test]
fn configuration_that_is_read_is_documented() {
    // Sections whose keys are made of the name of a service.
    const BY_SERVICE: [&str; 1] = ["peers."];
    let keys = configuration_keys();
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect();
    let mut named = BTreeSet::new();
    for (_, text) in sources() {
        let mut before = "";
        for literal in text.split('"') {
            // Read by a struct that has a field for each key and takes no other.
            if before.ends_with(".section(") || before.ends_with(".usable(") {
                named.extend(keys.iter().filter(|key| key.split('.').next() == Some(literal)).cloned());
            }
            let is_name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if literal.split_once('.').is_some_and(|(section, key)| sections.contains(section) && is_name(key)) {
                named.insert(literal.to_owned());
            }
            before = literal;
        }
    }
    let unread = keys.iter().filter(|key| !named.contains(*key) && !BY_SERVICE.iter().any(|by| key.starts_with(by)));
    check("a key of default.toml is read", unread.cloned());
}

/// Options are fields of structs: a key that is asked for by its name is checked by nobody.
#[test]
fn configuration_is_read_by_type() {
    let asks = concat!("config.get(", "\"");
    let is_code = |path: &PathBuf| {
        // The configuration tests itself.
        !path.ends_with("runtime/src/config.rs") && !path.iter().any(|part| part == "tests")
    };
    let asked = sources().into_iter().filter(|(path, text)| is_code(path) && text.contains(asks));
    check("no key is asked for by its name", asked.map(|(path, _)| path.display().to_string()));
}

/// What documentation and deployment set is a key that exists.
#[test]
fn configuration_is_named_as_it_is() {
    const PREFIX: &str = "PORTOLAN__";
    let known: Vec<_> = configuration_keys().iter().map(|key| key.replace('.', "__").to_uppercase()).collect();

    let mut read = vec![root().join("README.md")];
    for extension in ["yaml", "sh", "run", "toml", "md"] {
        files(&root().join("deploy"), extension, &mut read);
    }
    read.extend(
        ["deploy/local/up-distributed", "deploy/docker/Dockerfile", "deploy/example/run"].map(|p| root().join(p)),
    );
    let mut unknown = Vec::new();
    let mut named = 0;
    for path in read {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split(PREFIX).skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
            let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('_');
            // A placeholder, and a section whose keys a script completes.
            let is_section = known.iter().any(|key| key.split("__").next() == Some(name));
            named += 1;
            if name != "SECTION__KEY" && !is_section && !known.iter().any(|key| key == name) {
                unknown.push(format!("{}: {PREFIX}{name}", path.display()));
            }
        }
    }
    assert!(named > 10, "nothing names the configuration");
    check("a variable that is named is a key of default.toml", unknown.into_iter());
}

/// A step only adds, so that the program of before runs on its tables, or its name says that it takes something away;
/// programs that do not know such a step stop.
#[test]
fn migrations_only_add() {
    // Before the first release: the table had moved to another name.
    const REVIEWED: [&str; 1] = ["0010_ingest_sources.sql"];
    const TAKES_AWAY: [&str; 8] =
        ["DROP ", " RENAME ", " TYPE ", "SET NOT NULL", "TRUNCATE ", "DELETE FROM", "ADD CONSTRAINT", "SET DEFAULT"];
    let takes_away = |statement: &str| {
        let is_column = statement.contains("ADD COLUMN") && statement.contains("NOT NULL");
        // A column without default refuses the rows that the program of before writes.
        TAKES_AWAY.iter().any(|words| statement.contains(words)) || is_column && !statement.contains("DEFAULT")
    };
    let mut offenders = Vec::new();
    for path in below_sources("sql") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_named = name.split_once('_').is_some_and(|(_, name)| name.starts_with("contract"));
        if is_named || REVIEWED.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(root().join(&path)).unwrap().to_uppercase();
        let code = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
        let wrong = code.split(';').filter(|statement| takes_away(statement));
        offenders.extend(wrong.map(|statement| format!("{}: {}", path.display(), statement.trim())));
    }
    check("a migration adds, or is named contract_…", offenders.into_iter());
}

/// Each line of the security bar names tests that exist, or says in words what is known of it.
#[test]
fn the_security_bar_is_held_by_tests() {
    let bar = fs::read_to_string(root().join("crates/testkit/tests/security.txt")).unwrap();
    let sources = sources();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(bar.lines().filter(|line| !line.starts_with('#'))) {
        let Some((head, rest)) = line.split_once(": ") else {
            wrong.push(format!("no colon: {line}"));
            continue;
        };
        if !head.starts_with(&format!("{number} ")) {
            wrong.push(format!("line {number} is {head}"));
        }
        let (tests, words) = rest.split_once('!').unwrap_or((rest, ""));
        let tests: Vec<_> = tests.split(',').map(str::trim).filter(|test| !test.is_empty()).collect();
        if tests.is_empty() && words.trim().is_empty() {
            wrong.push(format!("line {number} names no test and says nothing"));
        }
        let missing = tests.iter().filter(|test| {
            let definition = format!("fn {test}(");
            !sources.iter().any(|(_, text)| text.contains(&definition))
        });
        wrong.extend(missing.map(|test| format!("line {number}: no test is named {test}")));
    }
    check("the security bar names its tests", wrong.into_iter());
}
