//! `portolan usage`: what an account uses, beside the limits of its organization's plan.

use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use reqwest::Url;
use serde_json::Value;

use crate::commands::say;
use crate::import::{ANSWER_TIMEOUT, Server, clean};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct UsageArgs {
    /// One feature, such as ACTIVE_ENDPOINTS; every feature without it.
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
    /// An account of the organization; the key's own without it.
    #[arg(long, value_name = "ID")]
    account: Option<i64>,
    /// Beginning of the window whose changes are listed, Unix seconds.
    #[arg(long, value_name = "SECONDS")]
    since: Option<i64>,
    /// Length of the windows.
    #[arg(long, default_value = "DAY", value_parser = ["HOUR", "DAY", "MONTH"], ignore_case = true)]
    grain: String,
    /// Address of the installation.
    #[arg(long, env = "PORTOLAN_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// API key; without it the key of a local installation is read from ./data/admin-api-key.
    #[arg(long, env = "PORTOLAN_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
}

/// Prints the usage by feature, and the windows when their beginning is given.
pub(crate) async fn run(arguments: &UsageArgs) -> ExitCode {
    match print(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {}", clean(&reason));
            ExitCode::FAILURE
        }
    }
}

async fn print(arguments: &UsageArgs) -> Result<(), String> {
    let server = Server::new(&arguments.url, arguments.api_key.as_deref())?;
    let mut windows = table(["feature", "from (Unix seconds)", "change", "events"]);
    let mut page_token = String::new();
    let mut is_first = true;
    loop {
        let answer = read(&server, arguments, &page_token).await?;
        if is_first {
            print_features(&answer);
            is_first = false;
        }
        for window in answer["windows"].as_array().into_iter().flatten() {
            let start = window["startTime"].to_string();
            windows.add_row([text(&window["feature"]), start, text(&window["value"]), text(&window["events"])]);
        }
        page_token = text(&answer["nextPageToken"]);
        if page_token.is_empty() {
            break;
        }
    }
    if arguments.since.is_some() {
        say(&windows);
    }
    Ok(())
}

async fn read(server: &Server, arguments: &UsageArgs, page_token: &str) -> Result<Value, String> {
    let mut url = server.at("/v1/usage");
    let mut query = url.query_pairs_mut();
    let numbers = [("accountId", arguments.account), ("startTime", arguments.since)];
    for (name, value) in numbers {
        if let Some(value) = value {
            query.append_pair(name, &value.to_string());
        }
    }
    if let Some(feature) = &arguments.feature {
        query.append_pair("feature", feature);
    }
    query.append_pair("grain", &arguments.grain).append_pair("pageSize", "1000").append_pair("pageToken", page_token);
    drop(query);
    server.answer(server.client.get(url).timeout(ANSWER_TIMEOUT)).await.map_err(|failure| failure.text)
}

fn print_features(answer: &Value) {
    let mut features = table(["feature", "account", "organization", "limit"]);
    for feature in answer["usage"].as_array().into_iter().flatten() {
        let limit = match (&feature["isGranted"], feature["usageLimit"].as_i64()) {
            (Value::Bool(true), Some(limit)) if limit >= 0 => limit.to_string(),
            (Value::Bool(true), _) => "none".to_owned(),
            _ => "not in the plan".to_owned(),
        };
        let (usage, all) = (text(&feature["usage"]), text(&feature["organizationUsage"]));
        features.add_row([text(&feature["feature"]), usage, all, limit]);
    }
    say(&features);
    for difference in answer["lastRefresh"]["differences"].as_array().into_iter().flatten() {
        say(format_args!(
            "the last recomputation found {} of account {} recorded as {} and counted as {}; it is repaired",
            text(&difference["feature"]),
            difference["accountId"],
            difference["recorded"],
            difference["counted"]
        ));
    }
}

fn table(header: [&str; 4]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// The text of a value; what came from the server is not trusted with the terminal.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
