//! The series that processes publish, the page that tells of them, the alerts and the dashboard name the same ones.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Series that are looked at beside an alert, or tell no fault.
const WITHOUT_ALERT: [&str; 6] = [
    "portolan_rpc_seconds",
    "portolan_bodies_bytes",
    "portolan_calls_waited_total",
    "portolan_cache_calls_under_way",
    // What alerts divide by, or name.
    "process_max_fds",
    "portolan_memory_max_bytes",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Names that begin as series do. Buckets and sums are of the series before their ending.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c: char| !is_part(c) && !c.is_ascii_digit());
    let words = words.filter(|word| word.starts_with("portolan_") || word.starts_with("process_"));
    let series = words.map(|word| {
        let ended = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        ended.unwrap_or(word).to_owned()
    });
    series.collect()
}

/// The text literals of a source file that are a name as series have it.
fn published(text: &str) -> BTreeSet<String> {
    let literals = text.split('"').skip(1);
    let is_whole = |literal: &&str| {
        literal.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && (literal.starts_with("portolan_") || literal.starts_with("process_"))
    };
    literals.filter(is_whole).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "tests" | "target" | "benches") {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // What a file's own tests name is no series of a process.
            found.extend(published(text.split("#[cfg(test)]").next().unwrap()));
        }
    }
}

#[test]
fn what_is_published_is_told_and_watched() {
    let root = root();
    let mut published = BTreeSet::new();
    for folder in ["crates", "services", "gateway"] {
        sources(&root.join(folder), &mut published);
    }
    // Names of crates look the same.
    published.retain(|name| name.ends_with("_total") || name.matches('_').count() > 1);
    let read = |file: &str| named(&std::fs::read_to_string(root.join(file)).unwrap());
    let page = read("docs/operations/observability.md");
    let (alerts, cases) = (read("deploy/observability/alerts.yaml"), read("deploy/observability/alerts-test.yaml"));
    let dashboard = read("deploy/observability/dashboard.json");
    assert!(published.len() > 25, "{published:?}");
    let untold: Vec<_> = published.difference(&page).collect();
    assert!(untold.is_empty(), "docs/operations/observability.md says nothing of {untold:?}");
    for (file, used) in [("alerts.yaml", &alerts), ("dashboard.json", &dashboard)] {
        let unknown: Vec<_> = used.difference(&published).collect();
        assert!(unknown.is_empty(), "{file} reads what nobody publishes: {unknown:?}");
    }
    let unwatched: Vec<_> =
        published.difference(&alerts).filter(|name| !WITHOUT_ALERT.contains(&name.as_str())).collect();
    assert!(unwatched.is_empty(), "no alert reads {unwatched:?}");
    let untried: Vec<_> = alerts.difference(&cases).collect();
    assert!(untried.is_empty(), "no case of an alert has {untried:?}");
}
