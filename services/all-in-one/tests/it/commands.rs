//! Every command of the documentation runs as it stands there, with the program of this tree.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use portolan_testkit::TestDb;

use crate::server::Server;

/// What these commands do takes a cluster, a release build or every test; other tests have their scripts.
const ELSEWHERE: [&str; 4] = ["make ", "deploy/kubernetes/", "kubectl ", "deploy/example/run"];
/// Tools that a machine may lack.
const OPTIONAL: [&str; 1] = ["grpcurl"];

/// The pages whose commands run.
fn pages(root: &Path) -> Vec<PathBuf> {
    // The pages that a newcomer follows from the first line to the last; guides begin in the middle of an installation.
    ["README.md", "docs/quick-start.md"].map(|page| root.join(page)).to_vec()
}

/// The commands of a page's blocks: those marked `sh`, and unmarked ones that begin with a program.
fn commands(text: &str) -> Vec<String> {
    const PROGRAMS: [&str; 8] = ["cargo ", "curl ", "portolan ", "make ", "grpcurl ", "deploy/", "kubectl ", "export "];
    let mut found = Vec::new();
    let mut blocks = text.split("```");
    // Outside and inside take turns.
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (mark, body) = block.split_once('\n').unwrap_or_default();
        let is_shell = mark == "sh" || (mark.is_empty() && PROGRAMS.iter().any(|program| body.starts_with(program)));
        // What a start prints begins with the program's name too.
        if is_shell && !body.starts_with("portolan ready ") {
            let body = body.replace("\\\n", " ");
            found.extend(
                body.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned),
            );
        }
    }
    found
}

pub async fn of_the_documentation_run(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let place = tempfile::tempdir().unwrap().keep();
    let data_dir = place.join("data");
    let own = test.at(format!("sqlite:{}", data_dir.display()));
    let server = Server::start_in(&own, data_dir).await;
    // A checkout, with this tree's program in the place of `cargo run` and `make install`.
    symlink(root.join("deploy"), place.join("deploy")).unwrap();
    let bin = place.join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_portolan"), bin.join("portolan")).unwrap();
    let cargo = "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || exit 9\nshift 3\nexec portolan \"$@\"\n";
    std::fs::write(bin.join("cargo"), cargo).unwrap();
    std::fs::set_permissions(bin.join("cargo"), std::fs::Permissions::from_mode(0o755)).unwrap();
    // An answer with an error is one here.
    std::fs::write(place.join(".curlrc"), "fail\n").unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let (mut ran, mut left_out) = (0, Vec::new());
    for page in pages(&root) {
        for command in commands(&std::fs::read_to_string(&page).unwrap()) {
            let shown = format!("{}: {command}", page.strip_prefix(&root).unwrap().display());
            let lacks = |tool: &&str| {
                command.starts_with(*tool)
                    && Command::new("which").arg(tool).output().is_ok_and(|o| !o.status.success())
            };
            if ELSEWHERE.iter().any(|start| command.starts_with(start)) || OPTIONAL.iter().any(lacks) {
                left_out.push(shown);
                continue;
            }
            let here = command.replace("http://127.0.0.1:8080", &server.http).replace("127.0.0.1:50050", &server.grpc);
            let mut shell = Command::new("sh");
            shell.args(["-ec", &here]).current_dir(&place).env("HOME", &place).env("PATH", &path);
            let output = shell.env("PORTOLAN_URL", &server.http).output().unwrap();
            assert!(output.status.success(), "{shown}: {output:?}");
            ran += 1;
        }
    }
    println!("{ran} commands ran; left out: {left_out:#?}");
    assert!(ran >= 2, "the pages have commands");
    let answer = server.post("/api/getAllCollections", serde_json::json!({})).await.expect(200).json();
    let collections = answer["apiCollections"].as_array().unwrap();
    assert!(
        collections.iter().any(|c| c["urlsCount"].as_i64().unwrap_or_default() > 0),
        "samples are imported: {answer}"
    );
}

/// Every page of the documentation.
fn all_pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = ["README.md", "CONTRIBUTING.md", "deploy/README.md", "deploy/kubernetes/README.md"]
        .map(|page| root.join(page))
        .to_vec();
    for folder in ["docs", "docs/guides", "docs/operations", "docs/reference"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    pages
}

/// What pages name exists: commands of the program, targets of make, keys of the configuration, files of the checkout.
pub async fn names_of_the_documentation_exist(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let makefile = std::fs::read_to_string(root.join("Makefile")).unwrap();
    let keys: Vec<_> = portolan_runtime::documented()
        .iter()
        .map(|known| format!("{}__{}", known.section, known.key).to_uppercase())
        .collect();
    let mut unknown = Vec::new();
    let mut known_commands = std::collections::BTreeMap::new();
    let is_command = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_portolan")).args(words).arg("--help").output().unwrap();
        output.status.success()
    };
    let (mut commands, mut names) = (0, 0);
    for page in all_pages(&root) {
        let text = std::fs::read_to_string(&page).unwrap();
        let page = page.strip_prefix(&root).unwrap().display().to_string();
        // What stands between backticks in a line, or in a block.
        for piece in text.split('`').skip(1).step_by(2).flat_map(str::lines) {
            let piece = piece.trim().trim_start_matches("$ ");
            let words: Vec<&str> = piece.split([' ', '\t']).collect();
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            let is_word = |word: &&&str| !word.starts_with('-') && word.bytes().all(is_letter);
            match words.as_slice() {
                ["portolan", first, ..] if first.starts_with(|c: char| c.is_ascii_lowercase()) && *first != "ready" => {
                    // The command, and its own command where it has one: the rest are arguments.
                    let path: Vec<&str> = words[1..].iter().take_while(is_word).take(2).copied().collect();
                    commands += 1;
                    let exists = *known_commands.entry(path.join(" ")).or_insert_with(|| is_command(&path));
                    if !exists {
                        unknown.push(format!("{page}: {piece}"));
                    }
                }
                ["make", target, ..] if is_word(&target) => {
                    commands += 1;
                    if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                        unknown.push(format!("{page}: {piece}"));
                    }
                }
                _ => {}
            }
            for word in words {
                let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = word.split('=').next().unwrap().trim_start_matches("PORTOLAN__");
                let is_key =
                    name.contains("__") && name.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b));
                if is_key && name != "SECTION__KEY" {
                    names += 1;
                    if !keys.iter().any(|key| key == name) {
                        unknown.push(format!("{page}: {word}"));
                    }
                }
                let is_file =
                    ["deploy/", "crates/", "services/", "gateway/src/", "docs/"].iter().any(|at| word.starts_with(at));
                let is_literal = word.bytes().all(|byte| byte.is_ascii_graphic() && !b"*<>{}$:".contains(&byte));
                // What kubectl calls so stands in a cluster.
                if is_file && is_literal && !piece.contains("kubectl") {
                    names += 1;
                    if !root.join(word).exists() {
                        unknown.push(format!("{page}: {word}"));
                    }
                }
            }
        }
    }
    assert!(commands > 20 && names > 50, "{commands} commands, {names} names");
    assert!(unknown.is_empty(), "these do not exist: {unknown:#?}");
}
