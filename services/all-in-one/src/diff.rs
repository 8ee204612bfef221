//! `portolan diff`: what differs between two specifications, or between a collection's specifications and its traffic.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portolan_engine::drift::Shape;
use portolan_formats::Target;
use portolan_formats::openapi::Document;
use portolan_record::Source;
use reqwest::Url;
use serde_json::Value;

use crate::commands::say;
use crate::import::{ANSWER_TIMEOUT, Server};

/// As of diff(1): 0 for no difference, 1 for some, 2 for trouble.
const DIFFERENT: u8 = 1;
const TROUBLE: u8 = 2;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "The exit code is 0 without differences, 1 with some, 2 when they cannot be told.")]
pub(crate) struct DiffArgs {
    /// The older OpenAPI or Swagger document.
    #[arg(value_name = "OLD", requires = "new", required_unless_present = "collection")]
    old: Option<PathBuf>,
    /// The newer one.
    #[arg(value_name = "NEW")]
    new: Option<PathBuf>,
    /// Compares the specifications of this collection with its traffic, and with the specifications before them.
    #[arg(long, value_name = "ID")]
    collection: Option<i32>,
    /// Address of the installation.
    #[arg(long, env = "PORTOLAN_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// API key; without it the key of a local installation is read from ./data/admin-api-key.
    #[arg(long, env = "PORTOLAN_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
}

/// Prints the differences.
pub(crate) async fn run(arguments: DiffArgs) -> ExitCode {
    match differences(&arguments).await {
        Ok(lines) if lines.is_empty() => ExitCode::SUCCESS,
        Ok(lines) => {
            lines.iter().for_each(say);
            ExitCode::from(DIFFERENT)
        }
        Err(reason) => {
            eprintln!("error: {}", clean(&reason));
            ExitCode::from(TROUBLE)
        }
    }
}

async fn differences(arguments: &DiffArgs) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    if let (Some(old), Some(new)) = (&arguments.old, &arguments.new) {
        lines.extend(compare(&read(old)?, &read(new)?));
    }
    if let Some(id) = arguments.collection {
        lines.extend(told(&fetch(arguments, id).await?));
    }
    Ok(lines)
}

/// Method and URL to what is declared.
type Operations = BTreeMap<(String, String), Shape>;

fn read(path: &Path) -> Result<Operations, String> {
    let trouble = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| trouble(&error))?;
    let document = Document::parse(&bytes).map_err(|error| trouble(&error))?;
    let target = Target { account_id: 0, collection_id: 0, time: 0, source: Source::OpenApi };
    let mut operations = Operations::new();
    for outcome in document.operations(&target) {
        let declaration = outcome.record.and_then(|record| record.declaration);
        let Some(declaration) = declaration else {
            return Err(format!("{}: {} {} cannot be read", path.display(), outcome.method, outcome.url));
        };
        operations.insert((outcome.url, outcome.method), Shape::from(&*declaration));
    }
    Ok(operations)
}

fn compare(old: &Operations, new: &Operations) -> Vec<String> {
    let mut lines = Vec::new();
    for ((url, method), known) in old {
        let name = clean(&format!("{method} {url}"));
        match new.get(&(url.clone(), method.clone())) {
            None => lines.push(format!("- {name}")),
            Some(next) => {
                let changes = known.changes(next);
                if !changes.is_empty() {
                    lines.push(format!("~ {name}"));
                    lines.extend(changes.iter().map(|change| format!("    {}", clean(change))));
                }
            }
        }
    }
    let added = new.keys().filter(|key| !old.contains_key(*key));
    lines.extend(added.map(|(url, method)| format!("+ {}", clean(&format!("{method} {url}")))));
    lines
}

async fn fetch(arguments: &DiffArgs, collection_id: i32) -> Result<Value, String> {
    let server = Server::new(&arguments.url, arguments.api_key.as_deref())?;
    let request = server.client.get(server.at(&format!("/v1/collections/{collection_id}/drift")));
    server.answer(request.timeout(ANSWER_TIMEOUT)).await.map_err(|failure| failure.text)
}

/// The drift of a collection, a line for each difference.
fn told(drift: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let name = |place: &Value| format!("{} {}", text(&place["method"]), text(&place["url"]));
    let mut lines = Vec::new();
    for specification in list(&drift["specifications"]) {
        let title = text(&specification["title"]);
        for (sign, member) in [("-", "removed"), ("+", "added")] {
            lines.extend(list(&specification[member]).iter().map(|place| format!("{sign} {} ({title})", name(place))));
        }
        for place in list(&specification["changed"]) {
            lines.push(format!("~ {} ({title})", name(&place)));
            lines.extend(list(&place["changes"]).iter().map(|change| format!("    {}", text(change))));
        }
    }
    for (member, meaning) in [
        ("shadow", "seen but not documented"),
        ("orphan", "documented but not seen"),
        ("zombie", "deprecated but seen"),
    ] {
        lines.extend(list(&drift[member]).iter().map(|place| format!("! {}: {meaning}", name(place))));
    }
    lines
}

/// A text from a file or a server, without what a terminal would obey.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(paths: &str) -> Operations {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            format!(r#"{{"openapi":"3.0.1","info":{{"title":"t","version":"1"}},"paths":{paths}}}"#),
        )
        .unwrap();
        read(file.path()).unwrap()
    }

    #[test]
    fn operations_are_compared_by_method_and_url() {
        let old = operations(r#"{"/a":{"get":{"responses":{"200":{"description":""}}},"post":{"responses":{}}}}"#);
        let new = operations(
            r#"{"/a":{"get":{"deprecated":true,"responses":{"200":{"description":""}}}},"/b":{"get":{"responses":{}}}}"#,
        );
        assert_eq!(compare(&old, &new), ["~ GET /a", "    the operation is now deprecated", "- POST /a", "+ GET /b"]);
        assert!(compare(&old, &old).is_empty());
    }
}
