use portolan_runtime::{Process, ProcessArgs, process::BoxError};

use crate::up;

/// Migrates every service, as a start does, and ends.
pub(crate) async fn migrate(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let process = Process::open(arguments.load()?).await?;
    let services = up::Services::open(&process).await?;
    services.stop().await;
    println!("migrated {}", process.config.get("store.url").split('@').next_back().unwrap_or_default());
    Ok(())
}

/// Every problem is in the error.
pub(crate) fn check_config(arguments: &ProcessArgs) -> Result<(), BoxError> {
    arguments.load()?;
    println!("the configuration is usable");
    Ok(())
}

pub(crate) fn openapi() -> Result<(), BoxError> {
    println!("{:#}", portolan_gateway::openapi()?);
    Ok(())
}
