//! `portolan keys derive`: the key file of one service, from the root key.

use std::path::PathBuf;

use clap::Args;
use portolan_runtime::{Keys, ProcessArgs, process::BoxError, write_private};

use crate::commands::say;

#[derive(Args)]
pub(crate) struct DeriveArgs {
    /// identity, tokens, inventory, imports, billing or gateway.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Written with mode 0600, in place of what is there; printed without it.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Reads the root key alone: it needs no store.
pub(crate) fn run(arguments: &DeriveArgs) -> Result<(), BoxError> {
    let config = arguments.process.load()?;
    let keys = Keys::load(&config.secret_key_file())
        .map_err(|error| format!("{error}; --data-dir or PORTOLAN__SECRETS__KEY_FILE names the root key"))?;
    let text = keys.derived_file(&arguments.service)?;
    match &arguments.to {
        Some(file) => write_private(file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?,
        None => say(text.trim_end()),
    }
    Ok(())
}
