//! `portolan ingest`: looks at the way of records into the inventory, and helps it on. It works on log and database,
//! beside running processes.

use portolan_inventory::ingest::{Skipped, skip};
use portolan_log::Log;
use portolan_runtime::{Process, ProcessArgs, process::BoxError};

use crate::commands::say;

#[derive(clap::Subcommand)]
pub(crate) enum IngestCommand {
    /// Sets aside the record at which a partition stands, so that those behind it are read; a whole batch when the log
    /// cannot read it.
    ///
    /// `portolan doctor` names the partition and the offset. The record is kept among the rejected ones with the reason
    /// `skipped by an operator`. Refused unless OFFSET is the position of the partition, so that a command that is
    /// repeated, or comes late, skips nothing.
    Skip(SkipArgs),
}

#[derive(clap::Args)]
pub(crate) struct SkipArgs {
    /// Number of the partition, from 0.
    partition: i64,
    /// Offset of the record.
    offset: i64,
    #[command(flatten)]
    process: ProcessArgs,
}

pub(crate) async fn run(command: &IngestCommand) -> Result<(), BoxError> {
    let IngestCommand::Skip(SkipArgs { partition, offset, process }) = command;
    let process = Process::existing(process.load()?).await?;
    let log = Log::open(process.config.get("log.url"), process.config.get("log.topic"), &process.store).await?;
    match skip(&process.store, &log, *partition, *offset).await? {
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
