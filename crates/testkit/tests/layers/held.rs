//! Finds transactions that are held while another service or Redis is asked, in the text as rustfmt lays it out.

use std::collections::BTreeSet;

/// What asks another service or Redis.
const REMOTE: [&str; 5] = ["peers::", "throttle::take", "rates.count(", ".begin_change(", "Attempt::begin("];

/// An `async fn`.
struct Function {
    module: String,
    name: String,
    takes_transaction: bool,
    /// Lines with their numbers, without comments.
    body: Vec<(usize, String)>,
}

/// Module and name, which is how a function is called.
type Name = (String, String);

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn functions(module: &str, text: &str) -> Vec<Function> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some((before, after)) = lines[at].split_once("async fn ").filter(|(before, _)| !before.contains("//"))
        else {
            at += 1;
            continue;
        };
        let end = format!("{}}}", &lines[at][..indent(before)]);
        let end = lines[at..].iter().position(|line| *line == end).map_or(lines.len(), |length| at + length);
        let begin = (at..end).find(|line| lines[*line].ends_with('{')).unwrap_or(at);
        let signature = lines[at..=begin].concat();
        let body = (begin + 1..end).filter(|line| !lines[*line].trim_start().starts_with("//"));
        found.push(Function {
            module: module.to_owned(),
            name: after.split(['(', '<']).next().unwrap_or_default().to_owned(),
            takes_transaction: signature.contains("&mut Tx") || signature.contains("&mut RightsTx"),
            body: body.map(|line| (line + 1, lines[line].to_owned())).collect(),
        });
        at = end;
    }
    found
}

/// The functions that a line of a module calls. One that is given the transaction is looked at by itself.
fn calls(module: &str, line: &str) -> Vec<Name> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in line.match_indices('(') {
        let before = &line[..at];
        let name = before.rsplit(|c| !is_part(c)).next().unwrap_or_default();
        let rest = before.strip_suffix(name).unwrap_or_default();
        let is_given = line[at + 1..].split(')').next().is_some_and(|given| given.contains("tx"));
        if name.is_empty() || rest.ends_with('.') || is_given {
            continue;
        }
        let owner = rest.strip_suffix("::").map(|path| path.rsplit(|c| !is_part(c)).next().unwrap_or_default());
        found.push((owner.unwrap_or(module).to_owned(), name.to_owned()));
    }
    found
}

fn is_remote(module: &str, line: &str, remote: &BTreeSet<Name>) -> bool {
    REMOTE.iter().any(|part| line.contains(part)) || calls(module, line).iter().any(|name| remote.contains(name))
}

/// The functions that ask another service, themselves or through others.
fn remote(functions: &[Function]) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for Function { module, name, body, .. } in functions {
            if body.iter().any(|(_, line)| is_remote(module, line, &found)) {
                found.insert((module.clone(), name.clone()));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// The places at which a transaction is held while another service is asked; `files` are modules with their texts.
pub fn offenders(files: &[(String, String)]) -> Vec<String> {
    let functions: Vec<_> = files.iter().flat_map(|(module, text)| functions(module, text)).collect();
    let remote = remote(&functions);
    let mut found = Vec::new();
    for Function { module, name, takes_transaction, body } in &functions {
        // How deep the block stands that holds one.
        let mut held = None;
        for (number, line) in body {
            held = held.filter(|depth| indent(line) >= *depth || line.is_empty());
            if (held.is_some() || *takes_transaction) && is_remote(module, line, &remote) {
                found.push(format!("{module}:{number} in {name}: {}", line.trim()));
            }
            let begins = [".begin().await", ".begin_read().await", "RightsTx::begin"];
            if begins.iter().any(|begin| line.contains(begin)) {
                held = Some(indent(line));
            } else if line.contains("|tx|") {
                held = Some(indent(line) + 1);
            }
            let ends = ["tx.commit()", "tx.rollback()", "tx.discard()", "(tx)", "(tx,", ", tx)", ", tx,"];
            if held == Some(indent(line)) && ends.iter().any(|end| line.contains(end)) {
                held = None;
            }
        }
    }
    found
}
