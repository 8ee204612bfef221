//! `portolan users`: administrators and passwords, for an operator at the machine who cannot log in. It works on the
//! database, beside running processes.

use std::io::BufRead as _;

use portolan_identity::{audit, operator};
use portolan_runtime::{Process, ProcessArgs, process::BoxError};

use crate::{commands::say, roles::TABLES};

#[derive(clap::Subcommand)]
pub(crate) enum UsersCommand {
    /// Gives a user a new password, printed once, and ends every session of theirs.
    ///
    /// Logins that were shut after too many failures are open again.
    ResetPassword(Person),
    /// Makes an administrator, whose password is printed once.
    Create(Created),
}

#[derive(clap::Args)]
pub(crate) struct Person {
    /// E-mail address.
    #[arg(value_name = "EMAIL")]
    login: String,
    /// Reads the password from the first line of standard input; nothing is printed then.
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Args)]
pub(crate) struct Created {
    #[command(flatten)]
    person: Person,
    /// The account; the installation's first without it.
    #[arg(long, value_name = "ID")]
    account: Option<i64>,
}

pub(crate) async fn run(command: &UsersCommand) -> Result<(), BoxError> {
    let person = match command {
        UsersCommand::ResetPassword(person) => person,
        UsersCommand::Create(created) => &created.person,
    };
    let process = Process::existing(person.process.load()?, &TABLES).await?;
    let db = process.db("identity").await?;
    db.migrate_tables(&portolan_identity::TABLES).await?;
    let keys = audit::open(&db, &process.secrets("identity")?).await?;
    let given = if person.password_stdin { Some(read_line()?) } else { None };
    let login = person.login.trim();
    let password = match command {
        UsersCommand::ResetPassword(_) => {
            let limits = process.durable_limits(&db).await?;
            operator::reset_password(&db, &keys, &limits, login, given).await
        }
        UsersCommand::Create(created) => {
            operator::create(&db, &keys, login, created.account.map(Into::into), given).await
        }
    };
    let password = password.map_err(|error| format!("{login}: {error}"))?;
    if person.password_stdin {
        say(format_args!("{login} has the new password"));
    } else {
        say(format_args!("{login} has the password {password} (shown once)"));
    }
    Ok(())
}

fn read_line() -> Result<String, BoxError> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
