//! `portolan check-config`: every problem of a configuration at once, found by what reads it at a start.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use portolan_fetch::Fetch;
use portolan_identity::{mail::Mail, provider::Provider};
use portolan_runtime::{
    Config, ConfigError, Keys, Peers, ProcessArgs, Tls, certificate_times, expect_private_key, options::Shared,
    process::BoxError,
};
use portolan_store::Store;

use crate::commands::say;

/// Sections whose readers stop at their first problem: each of their keys is read among defaults.
const EDGE: &str = "edge.";
const TOKENS: &str = "tokens.";

/// Every problem is in the error.
pub(crate) fn run(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let (config, mut problems) = arguments.read()?;
    for error in of_services(&config) {
        match error.downcast_ref::<ConfigError>() {
            Some(error) => problems.extend_from_slice(error.problems()),
            None => problems.push(error.to_string()),
        }
    }
    for problem in beyond(&config)? {
        // Both look at some keys, each from its own side: one line a key is enough.
        let key = |line: &str| line.split([':', ' ']).next().map(str::to_owned);
        if !problems.iter().any(|known| key(known) == key(&problem)) {
            problems.push(problem);
        }
    }
    config.checked(problems)?;
    say("the configuration is usable");
    Ok(())
}

/// What the services find in their own sections.
fn of_services(config: &Config) -> Vec<BoxError> {
    let read = [
        portolan_identity::Options::read(config).map(drop),
        portolan_tokens::Options::read(config).map(drop),
        portolan_inventory::Options::read(config).map(drop),
        portolan_imports::Options::read(config).map(drop),
        portolan_billing::Options::read(config).map(drop),
    ];
    read.into_iter().filter_map(Result::err).collect()
}

/// What a start finds after the configuration was read.
fn beyond(config: &Config) -> Result<Vec<String>, BoxError> {
    let mut problems = config.equal_ports();
    let mut note = |key: &str, outcome: Result<(), String>| {
        if let Err(problem) = outcome {
            let named = problem.starts_with(key);
            problems.push(if named { problem } else { format!("{key}: {problem}") });
        }
    };
    for key in config.keys().filter(|key| key.starts_with(EDGE) || key.starts_with(TOKENS)) {
        let one = of(config, &[key])?;
        note(key, portolan_tokens::check(&one).map_err(|error| error.to_string()));
    }
    let Shared { tls, secrets, http, .. } = &config.shared;
    let key_file = config.secret_key_file();
    if !secrets.key_file.is_empty() || key_file.exists() {
        note("secrets.key_file", Keys::load(&key_file).map(drop).map_err(|error| error.to_string()));
        note("secrets.key_file", own_alone(&key_file));
    }
    for (key, path) in config.certificate_files() {
        note(key, certificates(&path).map_err(|problem| format!("{}: {problem}", path.display())));
    }
    for (key, path) in config.private_key_files() {
        note(key, expect_private_key(&path).map_err(|problem| format!("{}: {problem}", path.display())));
    }
    if http.tls && tls.cert.is_empty() {
        note("http.tls", Err("needs tls.cert, tls.key and tls.ca".to_owned()));
    }
    let is_readable = [&tls.cert, &tls.key, &tls.ca].iter().all(|path| std::fs::File::open(path).is_ok());
    if is_readable {
        note("tls.cert", Tls::open(config).map(drop).map_err(|error| error.to_string()));
    }
    note("peers", Peers::check(config));
    note("log.url", portolan_log::Log::check_url(&config.shared.log.url).map_err(|error| error.to_string()));
    for (key, place) in [("--data-dir", Some(config.data_dir.clone())), ("store.url", directory_of_store(config))] {
        let is_other = place.as_ref().is_some_and(|place| place.exists() && !place.is_dir());
        note(key, if is_other { Err("it names a file, not a directory".to_owned()) } else { Ok(()) });
    }
    if let Ok(options) = portolan_billing::Options::read(&of(config, &["billing.plans_file"])?) {
        let plans = portolan_billing::plans(&options.billing.plans_file);
        note("billing.plans_file", plans.map(drop).map_err(|error| error.to_string()));
    }
    let sunset = portolan_gateway::sunset(&config.shared.http.sunset);
    note("http.sunset", sunset.map(drop).map_err(|error| cause(&error)));
    // What a reader needs beside the key that is looked at stands here in good form: what is wrong with it is told elsewhere.
    let mut one = of(config, &["mail.smtp_url", "oidc.algorithms"])?;
    for key in ["oidc.issuer", "mail.public_url"] {
        one.put(key, "https://portolan.example.org");
    }
    one.put("oidc.client_id", "portolan");
    one.put("mail.from", "portolan@example.org");
    if let Ok(options) = portolan_identity::Options::read(&one) {
        note("mail.smtp_url", Mail::open(&options.mail).map(drop));
        note("oidc.algorithms", Provider::open(&options, &Fetch::new(options.fetch.clone())).map(drop));
    }
    Ok(problems)
}

/// Where an embedded database lies.
fn directory_of_store(config: &Config) -> Option<PathBuf> {
    Some(Store::sqlite_file(&config.store_url())?.parent()?.to_owned())
}

/// Whether every certificate of a file counts at this moment.
fn certificates(path: &Path) -> Result<(), String> {
    let (start, end) = certificate_times(path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    match (start > now, end <= now) {
        (true, _) => Err("a certificate does not count yet".to_owned()),
        (_, true) => Err("a certificate has ended".to_owned()),
        _ => Ok(()),
    }
}

/// Whether everybody may read a file. Its group may: a mounted secret belongs to one.
fn own_alone(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(data) if data.permissions().mode() & 0o007 != 0 => {
            let shown = path.display();
            Err(format!("{shown} can be read by everybody: chmod 600 {shown}"))
        }
        // What keeps it from being read at all is told by the reader of keys.
        _ => Ok(()),
    }
}

/// The defaults, with these keys as they are configured.
fn of(config: &Config, keys: &[&str]) -> Result<Config, BoxError> {
    let mut one = Config::load(config.data_dir.clone(), None, [])?;
    for key in keys {
        one.put(key, config.get(key));
    }
    Ok(one)
}

/// The private part of an error: here its reader is the operator.
fn cause(error: &portolan_api::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("Internal error: ").map_or(text.clone(), str::to_owned)
}
