//! `portolan check-config`: every problem of a configuration at once, found by what reads it at a start.

use portolan_fetch::Fetch;
use portolan_identity::{mail::Mail, provider::Provider};
use portolan_runtime::{Config, Peers, ProcessArgs, Secrets, Tls, process::BoxError};

use crate::commands::say;

/// Sections whose readers stop at their first problem: each of their keys is read among defaults.
const EDGE: &str = "edge.";
const TOKENS: &str = "tokens.";

/// Every problem is in the error.
pub(crate) fn run(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let (config, mut problems) = arguments.read()?;
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

/// What a start finds after the configuration was read.
fn beyond(config: &Config) -> Result<Vec<String>, BoxError> {
    let mut problems = config.equal_ports();
    let mut note = |key: &str, outcome: Result<(), String>| {
        if let Err(problem) = outcome {
            let named = problem.starts_with(key);
            problems.push(if named { problem } else { format!("{key}: {problem}") });
        }
    };
    let defaults = Config::load(config.data_dir.clone(), None, [])?;
    for key in defaults.keys() {
        let mut one = defaults.clone();
        one.put(key, config.get(key));
        if key.starts_with(EDGE) || key.starts_with(TOKENS) {
            note(key, portolan_tokens::check(&one).map_err(|error| error.to_string()));
        }
    }
    if !config.get("secrets.key_file").is_empty() || config.secret_key_file().exists() {
        note("secrets.key_file", Secrets::load(&config.secret_key_file()).map(drop).map_err(|error| error.to_string()));
    }
    let of_servers =
        ["store.ca", "store.cert", "store.key", "cache.ca", "cache.cert", "cache.key", "log.ca", "log.cert", "log.key"];
    for key in ["tls.cert", "tls.key", "tls.ca"].into_iter().chain(of_servers) {
        let path = config.get(key);
        if !path.is_empty() {
            note(key, std::fs::File::open(path).map(drop).map_err(|error| format!("{path}: {error}")));
        }
    }
    let is_readable = ["tls.cert", "tls.key", "tls.ca"].iter().all(|key| std::fs::File::open(config.get(key)).is_ok());
    if is_readable {
        note("tls.cert", Tls::open(config).map(drop).map_err(|error| error.to_string()));
    }
    note("peers", Peers::check(config));
    note(
        "billing.plans_file",
        portolan_billing::plans(config.get("billing.plans_file")).map(drop).map_err(|error| error.to_string()),
    );
    note("http.sunset", portolan_gateway::sunset(config.get("http.sunset")).map(drop).map_err(|error| cause(&error)));
    // Algorithms are read where there is an issuer, so that one stands here for what is missing; so do defaults for what
    // was told before.
    let mut one = defaults.clone();
    for key in ["mail.smtp_url", "mail.from", "oidc.algorithms"] {
        one.put(key, config.get(key));
    }
    for key in ["oidc.issuer", "mail.public_url"] {
        one.put(key, "https://portolan.example.org");
    }
    one.put("oidc.client_id", "portolan");
    if let Ok(options) = portolan_identity::Options::read(&one) {
        note("mail.smtp_url", Mail::open(&options.mail).map(drop));
        note("oidc.algorithms", Provider::open(&options, &Fetch::new(options.fetch.clone())).map(drop));
    }
    Ok(problems)
}

/// The private part of an error: here its reader is the operator.
fn cause(error: &portolan_api::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("Internal error: ").map_or(text.clone(), str::to_owned)
}
