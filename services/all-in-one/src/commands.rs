use portolan_runtime::{Keys, ProcessArgs, Secrets, key_mark, process::BoxError};
use portolan_store::Store;

/// Brings the tables of every service and of the gateway to this version, and ends. It needs the store and nothing else:
/// no secret key, no certificates, no log server, no peer.
pub(crate) async fn migrate(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = arguments.load()?;
    let store = Store::connect(&config.store_url()).await?;
    let identity = store.service("identity").await?;
    key_mark::open(&identity).await?;
    portolan_identity::migrate(&identity).await?;
    let inventory = store.service("inventory").await?;
    key_mark::open(&inventory).await?;
    portolan_inventory::migrate(&inventory).await?;
    for (db, migrations) in [
        (&store.service("tokens").await?, &portolan_tokens::MIGRATIONS),
        (&store.service("imports").await?, &portolan_imports::MIGRATIONS),
        (&store.service("billing").await?, &portolan_billing::MIGRATIONS),
        (&store.service("gateway").await?, &portolan_gateway::MIGRATIONS),
    ] {
        key_mark::open(db).await?;
        portolan_outbox::open(db).await?;
        db.migrate(migrations).await?;
    }
    for service in ["inventory", "imports", "billing"] {
        portolan_jobs::migrate(&store.service(service).await?).await?;
    }
    portolan_limit::Limits::in_table(&store.service("tokens").await?).await?;
    portolan_log::migrate(&store).await?;
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

/// Prints a line. A reader that went away, as `head` does, is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
