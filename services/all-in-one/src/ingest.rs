//! `portolan ingest`: looks at the way of records into the inventory, and helps it on. It works on log and database,
//! beside running processes.

use portolan_inventory::ingest::rejected::replay_any;
use portolan_inventory::ingest::{Skipped, skip};
use portolan_log::{Accounts, Log};
use portolan_runtime::process::BoxError;
use portolan_runtime::{Process, ProcessArgs};

use crate::{commands::say, roles::TABLES};

/// Records read from the log's table at once.
const PAGE: u32 = 100;

#[derive(clap::Subcommand)]
pub(crate) enum IngestCommand {
    /// Lists the records that were set aside, of every account, the newest first: partition, offset, account, size, and
    /// reason of each.
    Rejected(RejectedArgs),
    /// Appends a record that was set aside to the log once more, for the inventory to read it with what it can now.
    Replay(PlaceArgs),
    /// Sets aside the record at which a partition stands, so that those behind it are read; a whole batch when the log
    /// cannot read it.
    ///
    /// `portolan doctor` names the partition and the offset. The record is kept among the rejected ones with the reason
    /// `skipped by an operator`. Refused unless OFFSET is the position of the partition, so that a command that is
    /// repeated, or comes late, skips nothing.
    Skip(PlaceArgs),
}

#[derive(clap::Args)]
pub(crate) struct RejectedArgs {
    /// Prints each record below its line, too. It is what was sent, secrets included.
    #[arg(long)]
    values: bool,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Args)]
pub(crate) struct PlaceArgs {
    /// Number of the partition, from 0.
    partition: i64,
    /// Offset of the record.
    offset: i64,
    #[command(flatten)]
    process: ProcessArgs,
}

pub(crate) async fn run(command: &IngestCommand) -> Result<(), BoxError> {
    let args = match command {
        IngestCommand::Rejected(RejectedArgs { process, .. }) => process,
        IngestCommand::Replay(PlaceArgs { process, .. }) | IngestCommand::Skip(PlaceArgs { process, .. }) => process,
    };
    let process = Process::existing(args.load()?, &TABLES).await?;
    let log = Log::open(&process.config.shared.log.url, &process.config.shared.log.topic, &process.store).await?;
    match command {
        IngestCommand::Rejected(RejectedArgs { values, .. }) => list(&log, *values).await,
        IngestCommand::Replay(PlaceArgs { partition, offset, .. }) => {
            let (to, at) = replay_any(&log, *partition, *offset).await?;
            say(format_args!("the record stands in partition {to} at {at} now"));
            Ok(())
        }
        IngestCommand::Skip(PlaceArgs { partition, offset, .. }) => {
            set_aside(&process, &log, *partition, *offset).await
        }
    }
}

async fn list(log: &Log, values: bool) -> Result<(), BoxError> {
    let mut before = None;
    loop {
        let records = log.rejected(Accounts::All, before, PAGE).await?;
        let Some(last) = records.last() else { break };
        before = Some(last.place());
        for record in &records {
            let account = record.account_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
            let (bytes, reason) = (record.value.len(), record.reason.replace('\n', " "));
            say(format_args!("{}\t{}\t{account}\t{bytes} bytes\t{reason}", record.partition, record.offset));
            if values {
                say(format_args!("{}", String::from_utf8_lossy(&record.value)));
            }
        }
    }
    if before.is_none() {
        say(format_args!("no record is set aside"));
    }
    Ok(())
}

async fn set_aside(process: &Process, log: &Log, partition: i64, offset: i64) -> Result<(), BoxError> {
    match skip(&process.store, log, partition, offset).await? {
        Skipped::To(next) => {
            say(format_args!("partition {partition}: {offset} to {} is set aside, it goes on at {next}", next - 1));
            Ok(())
        }
        Skipped::StandsAt(position) => {
            Err(format!("partition {partition} stands at {position}, not at {offset}: nothing was skipped").into())
        }
        Skipped::Empty => Err(format!("partition {partition} has no record at {offset}: nothing was skipped").into()),
    }
}
