//! The shape of every crate: no circle between modules, and in services arrows that run down only,
//! `service → rpc, worker → noun → store → model`, with wire types in `rpc` and SQL in `store`.
//!
//! `layers.txt` lists what is known to break a rule, one a line. The list only shrinks: what is not on it fails, and so
//! does a line that nothing breaks.

mod graph;
mod held;
mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use graph::{Arrow, Crate, Module};

/// What serves domain and wire on five shapes alike.
const SERVICES: [&str; 5] = ["billing", "identity", "imports", "inventory", "tokens"];
/// Packages of generated messages.
const PACKAGES: [&str; 6] = ["billing", "common", "identity", "imports", "inventory", "tokens"];
/// Modules that call other services: they speak the wire of their peers.
const SPEAKS_TO_PEERS: &str = "peers";
const LIST: &str = include_str!("layers.txt");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn crates() -> Vec<Crate> {
    let mut folders = vec![root().join("gateway")];
    for group in ["crates", "services"] {
        let entries = fs::read_dir(root().join(group)).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.join("Cargo.toml").is_file()));
    }
    folders.sort();
    folders.iter().map(|folder| Crate::read(folder)).collect()
}

/// A module may name those of a lower layer, and nouns each other.
fn layer(module: &Module) -> u8 {
    match module.first().map(String::as_str) {
        None | Some("service") => 4,
        Some("rpc" | "worker") => 3,
        Some("store") => 1,
        Some("model" | "options") => 0,
        Some(_) => 2,
    }
}

fn runs_back(Arrow { from, to }: &Arrow) -> bool {
    let (above, below) = (layer(from), layer(to));
    above < below || above == below && above == 3 && from.first() != to.first()
}

fn place(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

fn names_wire(krate: &Crate, module: &Module) -> bool {
    let source = &krate.modules[module];
    source.named.iter().any(|named| {
        let part = |index: usize| named.path.get(index).map_or("", String::as_str);
        let is_message = part(0) == "portolan_api" && PACKAGES.contains(&part(1));
        part(0) == "tonic" || part(0) == "prost" || is_message
    })
}

fn holds_sql(krate: &Crate, module: &Module) -> bool {
    const STATEMENTS: [&str; 5] = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH "];
    let source = &krate.modules[module];
    let is_statement = |text: &String| {
        let text = text.trim_start_matches(['r', '#', '"']).replace("\\n", " ");
        STATEMENTS.iter().any(|statement| text.trim_start().starts_with(statement))
    };
    let is_row = |named: &source::Named| {
        named.path.first().is_some_and(|first| first == "portolan_store")
            && named.path.get(1).is_some_and(|second| second == "args" || second == "Row")
    };
    source.strings.iter().any(is_statement) || source.named.iter().any(is_row)
}

fn offenders(krate: &Crate) -> BTreeSet<String> {
    let name = &krate.name;
    let mut found: BTreeSet<_> = krate.circles().iter().map(|module| format!("{name} circle {module}")).collect();
    if !SERVICES.contains(&name.as_str()) {
        return found;
    }
    for arrow in krate.arrows().iter().filter(|arrow| runs_back(arrow)) {
        found.insert(format!("{name} arrow {} to {}", place(&arrow.from), place(&arrow.to)));
    }
    for module in krate.modules.keys() {
        let is_peer = module.first().is_some_and(|first| first == SPEAKS_TO_PEERS);
        if layer(module) < 3 && !is_peer && names_wire(krate, module) {
            found.insert(format!("{name} wire {}", place(module)));
        }
        if layer(module) != 1 && holds_sql(krate, module) {
            found.insert(format!("{name} sql {}", place(module)));
        }
    }
    found
}

#[test]
fn arrows_run_down_and_in_no_circle() {
    let crates = crates();
    assert!(crates.len() > 15, "the crates were not found");
    let known: BTreeSet<_> = LIST.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let found: BTreeSet<_> = crates.iter().flat_map(offenders).collect();
    let new: Vec<_> = found.difference(&known).cloned().collect();
    let gone: Vec<_> = known.difference(&found).cloned().collect();
    assert!(new.is_empty(), "the rules of the layers are broken anew:\n{}", new.join("\n"));
    assert!(gone.is_empty(), "strike these lines from layers.txt, since nothing breaks them:\n{}", gone.join("\n"));
}

/// A transaction holds a connection, and on SQLite every other write: nothing that may take its time is asked meanwhile.
#[test]
fn no_transaction_is_held_while_others_are_asked() {
    let module = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let held = "pub async fn a(deps: &Deps) {\n    let mut tx = deps.db.begin().await?;\n    b(deps).await?;\n    tx.commit().await?;\n}\n";
    let asks = "async fn b(deps: &Deps) {\n    peers::is_open(deps).await\n}\n";
    assert_eq!(held::offenders(&[module("m", held), module("m", asks)]).len(), 1);
    assert!(held::offenders(&[module("m", held), module("n", asks)]).is_empty(), "another module's function");
    let after =
        held.replace("    b(deps).await?;\n", "").replace("commit().await?;", "commit().await?;\n    b(deps).await?;");
    assert!(held::offenders(&[module("m", &after), module("m", asks)]).is_empty());
    let given = "async fn c(tx: &mut Tx) {\n    peers::is_open(deps).await\n}\n";
    assert_eq!(held::offenders(&[module("m", given)]).len(), 1);
    let mut found = Vec::new();
    for name in SERVICES {
        let folder = root().join("services").join(name).join("src");
        let mut paths = Vec::new();
        files(&folder, &mut paths);
        let texts = paths.iter().filter(|path| !path.ends_with("peers.rs")).map(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let parent = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            (if stem == "mod" { parent } else { stem }, fs::read_to_string(path).unwrap())
        });
        found.extend(held::offenders(&texts.collect::<Vec<_>>()).into_iter().map(|place| format!("{name} {place}")));
    }
    assert!(
        found.is_empty(),
        "a transaction is held across a call of another service or of Redis:\n{}",
        found.join("\n")
    );
}

/// Names of fields that stand in more than one word of a message: no other text is spelled like them by accident.
fn field_names() -> BTreeSet<String> {
    let mut files = Vec::new();
    for package in PACKAGES {
        let entries = fs::read_dir(root().join("proto").join(package).join("v1")).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut names = BTreeSet::new();
    for file in files.iter().filter(|file| !file.ends_with("options.proto")) {
        for line in fs::read_to_string(file).unwrap().lines().filter(|line| line.starts_with("  ")) {
            let Some((declared, _)) = line.split_once(" = ") else { continue };
            let Some(name) = declared.split_whitespace().last().filter(|name| name.contains('_')) else { continue };
            let mut words = name.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            let camel = words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..]);
            names.extend([name.to_owned(), camel]);
        }
    }
    assert!(names.len() > 300, "the contract was not found");
    names
}

/// What the documented contracts call things stands in one folder of the gateway: dialects, their paths, their fields.
#[test]
fn dialects_are_named_in_one_folder() {
    const DIALECTS: [&str; 3] = ["akto", "workato", "katapult"];
    const PREFIXES: [&str; 7] = ["/api", "/auth", "/signup-email", "/core", "/oauth2", "/organizations", "/v1"];
    // Words of the log, of a table, and of OpenAPI.
    const OTHERS: [&str; 8] = [
        "account_id",
        "credential_id",
        "request_id",
        "created_at",
        "accessToken",
        "apiKey",
        "requestBody",
        "contentEncoding",
    ];
    let fields = field_names();
    let says_dialect = |text: &str| DIALECTS.contains(&text.to_lowercase().as_str());
    let gateway = crates().into_iter().find(|krate| krate.name == "gateway").expect("the gateway");
    let mut found = BTreeSet::new();
    for (module, source) in &gateway.modules {
        let is_dialect = module.first().is_some_and(|first| first == "dialect");
        for text in &source.strings {
            let text = text.trim_start_matches(['b', 'r', '#']).trim_matches('#').trim_matches('"');
            let is_path = PREFIXES.iter().any(|prefix| text.starts_with(prefix));
            let is_field = fields.contains(text) && !OTHERS.contains(&text);
            let names_dialect = text.split(|c: char| !c.is_ascii_alphanumeric()).any(says_dialect);
            if is_path || is_field || names_dialect {
                found.insert((is_dialect, format!("{} names {text}", place(module))));
            }
        }
        for named in &source.named {
            if let Some(part) = named.path.iter().find(|part| says_dialect(part)) {
                found.insert((is_dialect, format!("{} names {part}", place(module))));
            }
        }
    }
    assert!(found.iter().filter(|(is_dialect, _)| *is_dialect).count() > 20, "the dialects were not found");
    let strays: Vec<_> = found.into_iter().filter(|(is_dialect, _)| !is_dialect).map(|(_, stray)| stray).collect();
    assert!(strays.is_empty(), "what belongs below gateway/src/dialect:\n{}", strays.join("\n"));
}

/// The reader sees what it should: a test that passes on what it cannot read proves nothing.
#[test]
fn the_reader_sees_every_form() {
    let read = |text: &str| source::Source::read(text, &["a".to_owned(), "b".to_owned()]);
    let krate = |text: &str| {
        let names = [vec![], vec!["a"], vec!["a", "b"], vec!["c"], vec!["c", "d"]];
        let modules = names.into_iter().map(|name| {
            let module: Module = name.into_iter().map(str::to_owned).collect();
            let own = match module.join("/").as_str() {
                "a/b" => text,
                "" => "pub use c::d::Passed; pub struct Root;",
                _ => "",
            };
            (module.clone(), source::Source::read(own, &module))
        });
        Crate { name: "test".to_owned(), modules: modules.collect() }
    };
    let reached = |text: &str| krate(text).arrows().iter().map(|arrow| place(&arrow.to)).collect::<Vec<_>>().join(" ");
    assert_eq!(reached("use crate::{Root, c::{self, d::Item as Other}};"), "lib c c/d");
    assert_eq!(reached("use crate::Passed;"), "c/d", "what is passed on belongs to who owns it");
    assert_eq!(reached("fn f() { crate::c::d::call(super::item()) }"), "a c/d");
    assert_eq!(reached("use super::super::c; fn f() { c::d::call() }"), "c c/d");
    assert_eq!(reached("m!(crate::c::d::X);"), "c/d");
    assert_eq!(reached("pub(crate) fn f() {} #[cfg(test)] mod tests { use crate::c::d; }"), "");
    assert_eq!(reached("// use crate::c;\nconst A: &str = \"crate::c::d\";"), "");
    assert_eq!(read("const A: &str = r#\"SELECT 1\"#;").strings, ["r#\"SELECT 1\"#"]);
    let circle = krate("use crate::c::d::X;");
    assert!(circle.circles().is_empty());
}
