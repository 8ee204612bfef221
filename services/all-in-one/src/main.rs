//! Portolan in one process, and its command line.

mod audit;
mod backup;
mod check_config;
mod commands;
mod derive;
mod diff;
mod doctor;
mod folder;
mod import;
mod ingest;
mod keys;
mod organizations;
mod roles;
mod rotate;
mod schema;
mod services;
mod up;
mod usage;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portolan_runtime::{ProcessArgs, process, workers};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

/// A self-hosted control plane for APIs.
#[derive(Parser)]
#[command(name = "portolan", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything in one process, or the services that are named.
    Up(up::UpArgs),
    /// Imports files into the inventory of a running installation.
    Import(import::ImportArgs),
    /// Tells what differs between two specifications, or between a collection's specifications and its traffic.
    Diff(diff::DiffArgs),
    /// Brings the tables of every service to this version.
    Migrate(ProcessArgs),
    /// Reads the configuration and says what is wrong with it.
    CheckConfig(ProcessArgs),
    /// Prints the JSON Schema of the configuration file.
    ConfigSchema,
    /// Prints the secret that Envoy shows to the edge.
    EdgeToken(ProcessArgs),
    /// Makes API keys, looks for Portolan's secrets in files, derives the keys of services, and rotates the root key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Makes administrators and gives new passwords, for an operator at the machine.
    #[command(subcommand, visible_alias = "admin")]
    Users(users::UsersCommand),
    /// Checks the audit.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Lists, shuts and opens organizations.
    #[command(subcommand)]
    Organizations(organizations::OrganizationsCommand),
    /// Helps records on their way into the inventory.
    #[command(subcommand)]
    Ingest(ingest::IngestCommand),
    /// Reads one record apart from the consumer, which starts this itself.
    #[command(hide = true)]
    ProbeRecord,
    /// Looks at a running installation and says what is wrong with it.
    Doctor(ProcessArgs),
    /// Writes a consistent copy of an installation on SQLite, while it runs.
    Backup(backup::BackupArgs),
    /// Puts a copy back where no database is.
    Restore(backup::BackupArgs),
    /// Prints what an account uses, beside the limits of the plan.
    Usage(usage::UsageArgs),
    /// Prints the OpenAPI document of the REST interface.
    Openapi,
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    portolan_runtime::keep_private();
    // One provider for every TLS connection of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match workers::runtime() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => process::finish(Err(error.into())),
    }
}

async fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Up(arguments) => process::finish(up::run(&arguments).await),
        Command::Import(arguments) => import::run(arguments).await,
        Command::Diff(arguments) => diff::run(arguments).await,
        Command::Migrate(arguments) => process::finish(commands::migrate(&arguments).await),
        Command::CheckConfig(arguments) => process::finish(check_config::run(&arguments)),
        Command::ConfigSchema => process::finish(schema::run()),
        Command::EdgeToken(arguments) => process::finish(commands::edge_token(&arguments)),
        Command::Keys(command) => keys::run(&command).await,
        Command::Users(command) => process::finish(users::run(&command).await),
        Command::Audit(command) => process::finish(audit::run(&command).await),
        Command::Organizations(command) => process::finish(organizations::run(&command).await),
        Command::Ingest(command) => process::finish(ingest::run(&command).await),
        Command::ProbeRecord => portolan_inventory::probe(),
        Command::Doctor(arguments) => process::finish(doctor::run(&arguments).await),
        Command::Backup(arguments) => process::finish(backup::backup(&arguments).await),
        Command::Restore(arguments) => process::finish(backup::restore(&arguments).await),
        Command::Usage(arguments) => usage::run(&arguments).await,
        Command::Openapi => process::finish(commands::openapi()),
        Command::Version => {
            println!("portolan {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}
