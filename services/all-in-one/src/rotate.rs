//! `portolan keys rotate`: another root key in the place of the one that is used, while everything runs.
//!
//! A key file says by itself how far a rotation is, so that one that broke off goes on where it was.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use portolan_runtime::{
    Config, DirectoryLock, Keys, ProcessArgs, Secrets, Stage, key_mark, key_readers,
    process::{BoxError, existing_store},
    reseal::{self, Columns, Remaining},
    write_private,
};
use portolan_store::{Db, Store};

use crate::{commands::say, roles::TABLES};

/// A process that starts has told what it has read.
const SETTLE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Nothing was sealed anew for so long: nobody does it.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Who seals, and in which columns.
const SEALED: [(&str, Columns); 3] = [
    ("identity", &portolan_identity::SEALED),
    ("tokens", &portolan_tokens::SEALED),
    ("imports", &portolan_imports::SEALED),
];
/// Schemas that know whose key they belong to.
const MARKED: [&str; 6] = ["identity", "tokens", "inventory", "imports", "billing", "gateway"];

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// A folder with derived keys, `SERVICE.key`, which are written anew with the root key.
    #[arg(long, value_name = "DIR")]
    derived: Option<PathBuf>,
    /// Ends when everything stands under the new key, and keeps the former one beside it.
    #[arg(long)]
    keep_former: bool,
    /// Goes one stage further and ends: where key files reach processes by other ways, which take their time.
    #[arg(long)]
    step: bool,
    /// Seals anew by itself, where no process runs. An embedded database tells that by itself.
    #[arg(long)]
    offline: bool,
    /// How long it waits for processes that have not read the key file as it is.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    process: ProcessArgs,
}

pub(crate) async fn run(arguments: &RotateArgs) -> Result<(), BoxError> {
    let config = arguments.process.load()?;
    let store = existing_store(&config, &TABLES).await?;
    let keys = Keys::load(&config.secret_key_file())?;
    key_mark::check(&store.service("identity").await?, &keys).await?;
    loop {
        hear_everybody(arguments, &store, &keys).await?;
        let stage = keys.stage();
        if stage == Stage::Changed {
            reseal_all(arguments, &config, &store, &keys).await?;
            if arguments.keep_former {
                say("the former key still opens; `portolan keys rotate` drops it");
                return Ok(());
            }
            move_marks(&store, &keys).await?;
        }
        advance(arguments, &keys)?;
        match keys.stage() {
            Stage::Announced => say("another key is known beside the one that is used"),
            Stage::Changed => say("the other key is used; the former one still opens"),
            Stage::Settled => {
                say("the former key is dropped; keep a copy of the new one with the next backup");
                return Ok(());
            }
        }
        if arguments.step {
            return Ok(());
        }
        tokio::time::sleep(SETTLE).await;
    }
}

/// Returns when every process that is there has read the key file as it is: until then it neither opens what stands under
/// a key that comes, nor hears who speaks under it.
async fn hear_everybody(arguments: &RotateArgs, store: &Store, keys: &Keys) -> Result<(), BoxError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(arguments.wait);
    let mut told = None;
    loop {
        let mut behind = Vec::new();
        for service in MARKED {
            let db = store.service(service).await?;
            match key_mark::open(&db).await {
                Ok(()) => {
                    let count = key_readers::behind(&db, keys).await?;
                    behind.extend((count > 0).then(|| format!("{count} of {service}")));
                }
                // No process of its own has served it.
                Err(portolan_store::Error::Migration { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        let behind = behind.join(", ");
        if tokio::time::Instant::now() >= deadline {
            return Err(format!(
                "processes have not read the key file as it is: {behind}. Give it to them, and call this again"
            )
            .into());
        }
        if told.as_ref() != Some(&behind) {
            say(format_args!("waits for processes that have not read the key file as it is: {behind}"));
            told = Some(behind);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Writes the stage that follows, of the root key and of the derived ones.
fn advance(arguments: &RotateArgs, keys: &Keys) -> Result<(), BoxError> {
    keys.advance()?;
    let Some(folder) = &arguments.derived else { return Ok(()) };
    for service in portolan_authz::SPEAKERS {
        let file = folder.join(format!("{service}.key"));
        if file.is_file() {
            let text = keys.derived_file(service)?;
            write_private(&file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    Ok(())
}

/// Returns when nothing that opens stands under the former key.
async fn reseal_all(
    arguments: &RotateArgs,
    config: &Config,
    store: &Store,
    keys: &std::sync::Arc<Keys>,
) -> Result<(), BoxError> {
    // Held until the end, so that nothing starts meanwhile.
    let lock = match Store::sqlite_file(&config.store_url()) {
        Some(_) => DirectoryLock::take(config).ok().flatten(),
        None => None,
    };
    let seals_itself = arguments.offline || lock.is_some();
    let mut services: Vec<(&str, Db, Secrets, Columns)> = Vec::new();
    for (service, columns) in SEALED {
        services.push((service, store.service(service).await?, Secrets::of(keys, service)?, columns));
    }
    let (mut told, mut moved_at) = (None, tokio::time::Instant::now());
    loop {
        let mut left = Remaining::default();
        for (_, db, secrets, columns) in &services {
            if seals_itself {
                reseal::pass(db, secrets, columns).await?;
            }
            let found = reseal::remaining(db, secrets, columns).await?;
            left.values += found.values;
            left.damaged += found.damaged;
        }
        if told != Some(left.values) {
            say(format_args!("{} values stand under the former key", left.values));
            (told, moved_at) = (Some(left.values), tokio::time::Instant::now());
        }
        if left.values == 0 {
            if left.damaged > 0 {
                say(format_args!(
                    "{} values name the former key and do not open under it: they are lost",
                    left.damaged
                ));
            }
            return Ok(());
        }
        if moved_at.elapsed() > IDLE_MAX {
            let problem = "nobody seals them anew: start the services, or say --offline where none runs";
            return Err(format!("{} values stand under the former key, and {problem}", left.values).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Also of services that do not run.
async fn move_marks(store: &Store, keys: &Keys) -> Result<(), BoxError> {
    for service in MARKED {
        let db = store.service(service).await?;
        match key_mark::open(&db).await {
            Ok(()) => key_mark::move_on(&db, keys).await?,
            // No process of its own has served it: it knows nothing of keys.
            Err(portolan_store::Error::Migration { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
