//! `portolan organizations`: lists, shuts and opens organizations. It works on the database, beside running processes.

use portolan_identity::{
    audit,
    model::organizations::State,
    organizations::{list, set_state},
};
use portolan_runtime::{Process, ProcessArgs, process::BoxError};

use crate::{commands::say, roles::TABLES};

#[derive(clap::Subcommand)]
pub(crate) enum OrganizationsCommand {
    /// Lists every organization with its state.
    List(ProcessArgs),
    /// Shuts an organization: every call of its users is refused within a second.
    Suspend(Named),
    /// Opens an organization again.
    Activate(Named),
}

#[derive(clap::Args)]
pub(crate) struct Named {
    /// UUID, `org_…` or sub-domain.
    name: String,
    #[command(flatten)]
    process: ProcessArgs,
}

pub(crate) async fn run(command: &OrganizationsCommand) -> Result<(), BoxError> {
    let arguments = match command {
        OrganizationsCommand::List(arguments) => arguments,
        OrganizationsCommand::Suspend(named) | OrganizationsCommand::Activate(named) => &named.process,
    };
    let process = Process::existing(arguments.load()?, &TABLES).await?;
    let db = process.db("identity").await?;
    db.migrate_tables(&portolan_identity::TABLES).await?;
    let (name, state) = match command {
        OrganizationsCommand::List(_) => {
            for organization in list(&db).await? {
                let (id, public_id, state) = (&organization.id, &organization.public_id, organization.state.name());
                say(format_args!("{id} {public_id} {} {state} {}", organization.sub_domain, organization.name));
            }
            return Ok(());
        }
        OrganizationsCommand::Suspend(named) => (&named.name, State::Suspended),
        OrganizationsCommand::Activate(named) => (&named.name, State::Active),
    };
    let before = set_state(&db, &audit::open(&db, &process.secrets("identity")?).await?, name, state).await?;
    say(format_args!("{} was {} and is {}", before.public_id, before.state.name(), state.name()));
    Ok(())
}
