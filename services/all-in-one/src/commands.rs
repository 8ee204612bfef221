use portolan_runtime::{Process, ProcessArgs, Secrets, process::BoxError};
use portolan_tokens::enforce;

use crate::up;

/// Migrates every service, as a start does, and ends.
pub(crate) async fn migrate(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let process = Process::open(arguments.load()?).await?;
    let services = up::Services::open(&process).await?;
    services.stop().await;
    // Without the user and password that a URL may hold.
    say(format_args!("migrated {}", process.config.store_url().split('@').next_back().unwrap_or_default()));
    Ok(())
}

/// Every problem is in the error.
pub(crate) fn check_config(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = arguments.load()?;
    enforce::Settings::read(|key| config.get(key), String::new())?;
    say("the configuration is usable");
    Ok(())
}

/// Prints the secret that Envoy shows to the edge.
pub(crate) fn edge_token(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = arguments.load()?;
    std::fs::create_dir_all(&config.data_dir)?;
    let secrets = Secrets::load_or_create(&config.secret_key_file())?;
    say(enforce::Settings::read(|key| config.get(key), enforce::derived_token(&secrets))?.token);
    Ok(())
}

pub(crate) fn openapi() -> Result<(), BoxError> {
    say(format_args!("{:#}", portolan_gateway::openapi()?));
    Ok(())
}

/// Prints a line. A reader that went away, as `head` does, is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
