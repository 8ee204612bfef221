//! `portolan check-config`: every problem of a configuration at once, found by what reads it at a start.

use portolan_fetch::Fetch;
use portolan_identity::{mail::Mail, provider::Provider};
use portolan_runtime::{Config, ConfigError, Keys, Peers, ProcessArgs, Tls, options::Shared, process::BoxError};

use crate::commands::say;

/// Sections whose readers stop at their first problem: each of their keys is read among defaults.
const EDGE: &str = "edge.";
const TOKENS: &str = "tokens.";
const FROM: &str = "mail.from";

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
    let Shared { store, cache, log, tls, secrets, .. } = &config.shared;
    if !secrets.key_file.is_empty() || config.secret_key_file().exists() {
        note("secrets.key_file", Keys::load(&config.secret_key_file()).map(drop).map_err(|error| error.to_string()));
    }
    for (key, path) in [
        ("tls.cert", &tls.cert),
        ("tls.key", &tls.key),
        ("tls.ca", &tls.ca),
        ("store.ca", &store.ca),
        ("store.cert", &store.cert),
        ("store.key", &store.key),
        ("cache.ca", &cache.ca),
        ("cache.cert", &cache.cert),
        ("cache.key", &cache.key),
        ("log.ca", &log.ca),
        ("log.cert", &log.cert),
        ("log.key", &log.key),
    ] {
        if !path.is_empty() {
            note(key, std::fs::File::open(path).map(drop).map_err(|error| format!("{path}: {error}")));
        }
    }
    let is_readable = [&tls.cert, &tls.key, &tls.ca].iter().all(|path| std::fs::File::open(path).is_ok());
    if is_readable {
        note("tls.cert", Tls::open(config).map(drop).map_err(|error| error.to_string()));
    }
    note("peers", Peers::check(config));
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
    one.put(
        FROM,
        match config.get(FROM) {
            "" => "portolan@example.org",
            from => from,
        },
    );
    let options = portolan_identity::Options::read(&one)?;
    note("mail.smtp_url", Mail::open(&options.mail).map(drop));
    note("oidc.algorithms", Provider::open(&options, &Fetch::new(options.fetch.clone())).map(drop));
    Ok(problems)
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
