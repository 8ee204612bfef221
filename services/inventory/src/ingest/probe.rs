//! Reads one record in a process of its own, so that what it does to a process is seen from outside.

use std::{
    io::Read as _,
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use portolan_log::Stored;
use tokio::io::AsyncWriteExt as _;

use crate::{
    Deps,
    ingest::batch,
    model::{detectors::DetectorSet, rules::Rules},
};

/// The argument that makes a program of this package a probe.
pub const PROBE_ARGUMENT: &str = "probe-record";

/// A record that takes longer is taken for one that does not end.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Reads the record on standard input as ingest does, and ends. Should memory run out, this process goes first.
pub fn probe() -> ExitCode {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut value = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut value) {
        tracing::error!(%error, "no record to look at");
        return ExitCode::FAILURE;
    }
    let record = Stored { offset: 0, key: Default::default(), value: value.into(), producer: None };
    batch::fold(&[record], Arc::new(Rules::default()), &DetectorSet::default());
    ExitCode::SUCCESS
}

/// Whether a process that reads this record ends well. Where no program is known, nobody can tell, and the deaths count.
pub async fn is_harmless(deps: &Deps, value: &[u8]) -> bool {
    let Some(program) = &deps.probe_program else { return false };
    let run = async {
        let mut command = tokio::process::Command::new(&**program);
        command.arg(PROBE_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // A process that dies at once takes nothing.
            let _ = input.write_all(value).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(TIME_MAX, run).await {
        Ok(Ok(status)) => status.success(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a suspicious record cannot be looked at");
            false
        }
        Err(_) => false,
    }
}
