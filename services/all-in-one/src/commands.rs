use portolan_runtime::{
    Keys, ProcessArgs, Secrets,
    process::{self, BoxError},
};
use portolan_store::Store;

use crate::roles::TABLES;

/// Brings the tables of every service and of the gateway to this version, and ends. It needs the store and nothing else:
/// no secret key, no certificates, no log server, no peer.
pub(crate) async fn migrate(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = arguments.load()?;
    process::expect_known(&config, &TABLES).await?;
    let store = Store::connect(&config.store_url()).await?;
    for tables in &TABLES {
        store.migrate(tables).await?;
    }
    store.close().await;
    // Without the user and password that a URL may hold.
    say(format_args!("migrated {}", config.store_url().split('@').next_back().unwrap_or_default()));
    Ok(())
}

/// Prints the secret that Envoy shows to the edge.
pub(crate) fn edge_token(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = arguments.load()?;
    let secrets = || {
        let keys = Keys::load(&config.secret_key_file()).map_err(|error| {
            format!("{error}; --data-dir or PORTOLAN__SECRETS__KEY_FILE names the installation's key")
        })?;
        Ok(Secrets::of(&keys, "tokens")?)
    };
    say(portolan_tokens::edge_token(&config, secrets)?);
    Ok(())
}

pub(crate) fn openapi() -> Result<(), BoxError> {
    say(format_args!("{:#}", portolan_gateway::openapi()?));
    Ok(())
}

/// An error with what caused it, once each: libraries keep the cause apart, or repeat it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let (mut told, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

/// Prints a line. A reader that went away, as `head` does, is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
