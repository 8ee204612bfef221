//! `portolan audit`: checks the chains of the audit.

use portolan_identity::audit::{Verdict, accounts, verify};
use portolan_runtime::{Process, ProcessArgs, process::BoxError};

use crate::commands::say;

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the chain of every account; fails when one is broken.
    Verify(ProcessArgs),
}

pub(crate) async fn run(command: &AuditCommand) -> Result<(), BoxError> {
    let AuditCommand::Verify(arguments) = command;
    let process = Process::existing(arguments.load()?).await?;
    let db = process.db("identity").await?;
    db.migrate(&portolan_identity::MIGRATIONS).await?;
    let mut broken = 0;
    for account_id in accounts(&db).await? {
        match verify(&db, account_id).await? {
            Verdict::Whole { events } => say(format_args!("account {account_id}: {events} events, whole")),
            Verdict::Broken { seq, reason } => {
                broken += 1;
                say(format_args!("account {account_id}: broken at event {seq}: {reason}"));
            }
        }
    }
    if broken > 0 { Err(format!("{broken} chains are broken").into()) } else { Ok(()) }
}
