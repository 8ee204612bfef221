//! `portolan audit`: checks the chains of the audit, and prints their heads to be kept elsewhere.

use std::path::PathBuf;

use portolan_identity::audit::{
    AuditKeys, Exported, REGISTRY, SignedHead, Verdict, export, month_start_ms, signed, verify_all, verify_files,
};
use portolan_ids::AccountId;
use portolan_runtime::{Process, ProcessArgs, process::BoxError};
use portolan_store::Db;

use crate::{commands::say, roles::TABLES};

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the chain of every account; fails when one is broken.
    ///
    /// The database alone cannot show that it was set back as a whole to what it was before. Heads that were kept elsewhere
    /// can: each is held against its chain.
    Verify(VerifyArgs),
    /// Prints the signed head of every chain, one a line.
    Heads(ProcessArgs),
    /// Lets months leave the database for files, which `verify FILE` checks.
    ///
    /// It works beside running processes, and does at once what `audit.keep_days` does by itself.
    Export(ExportArgs),
}

#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    /// The first month that stays, such as 2026-01, in UTC.
    #[arg(long, value_name = "MONTH")]
    before: String,
    /// Where the files are written; `audit.export_dir` without it.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// Files of months that have left the database. These are checked then, and held against the begin of their chain in
    /// the database.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A head that was kept: a line of `portolan audit heads` or of the log. May be given more than once.
    #[arg(long, value_name = "HEAD")]
    expect: Vec<String>,
    /// A file with such lines, among others. May be given more than once.
    #[arg(long, value_name = "FILE")]
    expect_file: Vec<PathBuf>,
    #[command(flatten)]
    process: ProcessArgs,
}

pub(crate) async fn run(command: &AuditCommand) -> Result<(), BoxError> {
    match command {
        AuditCommand::Verify(arguments) => verify(arguments).await,
        AuditCommand::Heads(arguments) => heads(arguments).await,
        AuditCommand::Export(arguments) => export_months(arguments).await,
    }
}

async fn open(arguments: &ProcessArgs) -> Result<(Db, AuditKeys), BoxError> {
    let process = Process::existing(arguments.load()?, &TABLES).await?;
    let db = process.db("identity").await?;
    db.migrate_tables(&portolan_identity::TABLES).await?;
    let keys = AuditKeys::read(&db, &process.secrets("identity")?).await?;
    Ok((db, keys))
}

async fn verify(arguments: &VerifyArgs) -> Result<(), BoxError> {
    let expected = expected(arguments)?;
    let (db, keys) = open(&arguments.process).await?;
    if !arguments.files.is_empty() {
        return verify_months(&db, &keys, &arguments.files, &expected).await;
    }
    let mut broken = 0;
    for (account_id, verdict) in verify_all(&db, &keys, &expected).await? {
        let name = name(account_id);
        match verdict {
            Verdict::Whole { events } => say(format_args!("{name}: {events} events, whole")),
            Verdict::Broken { seq, fault } => {
                broken += 1;
                say(format_args!("{name}: broken at event {seq}: {fault}"));
            }
        }
    }
    if broken > 0 { Err(format!("{broken} chains are broken").into()) } else { Ok(()) }
}

async fn verify_months(db: &Db, keys: &AuditKeys, files: &[PathBuf], expected: &[SignedHead]) -> Result<(), BoxError> {
    let mut broken = 0;
    for (path, outcome) in verify_files(db, keys, files, expected).await? {
        let path = path.display();
        match outcome {
            Ok(file) => {
                let (name, first, last) = (name(file.account_id), file.anchor_seq + 1, file.end_seq);
                say(format_args!("{path}: {name}, {}, events {first} to {last}, whole", file.month));
            }
            Err((seq, fault)) => {
                broken += 1;
                say(format_args!("{path}: broken at event {seq}: {fault}"));
            }
        }
    }
    if broken > 0 { Err(format!("{broken} files are broken").into()) } else { Ok(()) }
}

async fn export_months(arguments: &ExportArgs) -> Result<(), BoxError> {
    let month = &arguments.before;
    let before_ms = month_start_ms(month).ok_or_else(|| format!("--before {month}: a month is such as 2026-01"))?;
    let config = arguments.process.load()?;
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => portolan_identity::Options::read(&config)?.audit_directory(),
    };
    let (db, keys) = open(&arguments.process).await?;
    for Exported { account_id, month, events, path } in export(&db, &keys, &directory, before_ms).await? {
        say(format_args!("{}: account {account_id}, {month}, {events} events", path.display()));
    }
    Ok(())
}

/// The heads that were kept. What holds none is a mistake, not an audit that is whole.
fn expected(arguments: &VerifyArgs) -> Result<Vec<SignedHead>, BoxError> {
    let given = arguments.expect.iter().map(|text| (text.clone(), Ok(text.clone())));
    let files = arguments.expect_file.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path)));
    let mut expected = Vec::new();
    for (name, text) in given.chain(files) {
        let text = text.map_err(|error| format!("{name}: {error}"))?;
        let found = SignedHead::find(&text).map_err(|error| format!("{name} {error}"))?;
        if found.is_empty() {
            return Err(format!("{name} holds no signed head: one is a line of `portolan audit heads`").into());
        }
        expected.extend(found);
    }
    Ok(expected)
}

async fn heads(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let (db, keys) = open(arguments).await?;
    let (signed, changed) = signed(&db, &keys).await?;
    for head in signed {
        say(head);
    }
    match changed[..] {
        [] => Ok(()),
        _ => {
            let names = changed.into_iter().map(name).collect::<Vec<_>>().join(", ");
            Err(format!("not signed, since the head was changed: {names}; see `portolan audit verify`").into())
        }
    }
}

fn name(account_id: AccountId) -> String {
    if account_id == REGISTRY { "registry of chains".to_owned() } else { format!("account {account_id}") }
}
