//! `portolan keys`: makes an API key without a running service, finds secrets of Portolan in files, by prefix and
//! checksum, derives the keys of services, and rotates the root key.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use portolan_identity::{audit, operator};
use portolan_runtime::{
    Process, ProcessArgs,
    process::{self, BoxError},
};
use portolan_tokens::{
    api_keys::{self, Owner},
    secret::{Kind, SECRET_CHARS},
};

use crate::{commands::say, derive, roles::TABLES, rotate};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Looks through files and folders for API keys and organization tokens.
    ///
    /// Both are known by their prefix and checksum, so that nothing else is taken for one. Secrets of access profiles
    /// have no form of their own (64 hex digits, as their contract fixes) and are not looked for. Ends with 1 when
    /// something was found, with 2 when a path cannot be read.
    Scan(ScanArgs),
    /// Makes an API key and prints it once; for whoever has lost every other one.
    ///
    /// It works on the database, beside running processes. Where DIR has no admin-api-key, the key is written there too.
    Create(CreateArgs),
    /// Prints the key file of one service, derived from the root key.
    ///
    /// A service starts with it as secrets.key_file. It holds no key of another service: whoever has it speaks as that
    /// service alone, and opens what that service sealed.
    Derive(derive::DeriveArgs),
    /// Puts another root key in the place of the one that is used, while everything runs.
    ///
    /// Another key is made known beside the one that is used, then used in its place; what is sealed is sealed anew by the
    /// services, and then the former key is dropped. A rotation that broke off goes on where it was.
    Rotate(rotate::RotateArgs),
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// Whose key it is; the account's first administrator without it.
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// An account of the user; the installation's first account without it.
    #[arg(long, value_name = "ID")]
    account: Option<i64>,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(Args)]
pub(crate) struct ScanArgs {
    /// Files and folders; `.git` and links are passed over.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Longest piece of a file without a line end that is looked at in one go.
const LINE_BYTES_MAX: usize = 1024 * 1024;

#[derive(Default)]
struct Scan {
    found: usize,
    unreadable: usize,
}

pub(crate) async fn run(command: &KeysCommand) -> ExitCode {
    match command {
        KeysCommand::Create(arguments) => process::finish(create(arguments).await),
        KeysCommand::Scan(arguments) => scan(arguments),
        KeysCommand::Derive(arguments) => process::finish(derive::run(arguments)),
        KeysCommand::Rotate(arguments) => process::finish(rotate::run(arguments).await),
    }
}

async fn create(arguments: &CreateArgs) -> Result<(), BoxError> {
    let process = Process::existing(arguments.process.load()?, &TABLES).await?;
    let (identity, tokens) = (process.db("identity").await?, process.db("tokens").await?);
    identity.migrate_tables(&portolan_identity::TABLES).await?;
    tokens.migrate_tables(&portolan_tokens::TABLES).await?;
    let owner = operator::find(&identity, arguments.account.map(Into::into), arguments.user.as_deref()).await?;
    let (account_id, user_id, username) = (owner.account_id, owner.user_id, owner.login.clone());
    let secret = api_keys::create_for(&tokens, Owner { account_id, user_id, username }).await?;
    operator::note_key(&identity, &audit::open(&identity, &process.secrets("identity")?).await?, &owner).await?;
    let file = process.config.data_dir.join("admin-api-key");
    if process.config.data_dir.is_dir() && portolan_runtime::create_private(&file, secret.as_bytes())? {
        eprintln!("{} has it too", file.display());
    }
    eprintln!("an API key of {} in account {account_id}, shown once:", owner.login);
    say(secret);
    Ok(())
}

fn scan(arguments: &ScanArgs) -> ExitCode {
    let mut scan = Scan::default();
    for path in &arguments.paths {
        scan.path(path);
    }
    match (scan.found, scan.unreadable) {
        (0, 0) => ExitCode::SUCCESS,
        (_, 0) => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

impl Scan {
    fn path(&mut self, path: &Path) {
        let outcome = match std::fs::symlink_metadata(path) {
            Ok(entry) if entry.is_dir() => self.folder(path),
            Ok(entry) if entry.is_file() => self.file(path),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.unreadable += 1;
            eprintln!("error: {}: {error}", path.display());
        }
    }

    fn folder(&mut self, path: &Path) -> std::io::Result<()> {
        let mut entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries.iter().filter(|entry| entry.file_name() != ".git") {
            self.path(&entry.path());
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> std::io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let (mut line, mut number) = (Vec::new(), 1);
        loop {
            let ended = {
                use std::io::Read as _;
                let mut limited = (&mut reader).take(LINE_BYTES_MAX as u64);
                limited.read_until(b'\n', &mut line)? == 0
            };
            for (column, kind) in secrets(&line) {
                self.found += 1;
                let start = String::from_utf8_lossy(&line[column..column + 7]);
                say(format_args!("{}:{number}:{}: {} {start}…", path.display(), column + 1, name(kind)));
            }
            if ended {
                return Ok(());
            }
            if line.last() == Some(&b'\n') {
                line.clear();
                number += 1;
            } else {
                // What may be the beginning of a secret stays for the next piece.
                let kept = line.len().min(SECRET_CHARS - 1);
                line.drain(..line.len() - kept);
            }
        }
    }
}

/// Where secrets begin in a text, and of which kind they are.
fn secrets(text: &[u8]) -> Vec<(usize, Kind)> {
    let windows = text.windows(SECRET_CHARS).enumerate();
    windows.filter_map(|(at, window)| Some((at, Kind::of(std::str::from_utf8(window).ok()?)?))).collect()
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiKey => "API key",
        Kind::OrganizationToken => "organization token",
    }
}

#[cfg(test)]
mod tests {
    use portolan_tokens::secret::generate;

    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let (key, token) = (generate(Kind::ApiKey), generate(Kind::OrganizationToken));
        let text = format!("{{\"a\":\"{key}\",\"b\":\"x{token}y\",\"c\":\"{}\"}}", &key[..39]);
        let found = secrets(text.as_bytes());
        assert_eq!(found, [(6, Kind::ApiKey), (text.find(&token).unwrap(), Kind::OrganizationToken)]);
    }

    #[test]
    fn a_secret_across_pieces_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let mut text = "-".repeat(LINE_BYTES_MAX - 20);
        text += &generate(Kind::ApiKey);
        text += &"-".repeat(100);
        std::fs::write(&path, text).unwrap();
        let mut scan = Scan::default();
        scan.path(folder.path());
        scan.path(&folder.path().join("missing"));
        assert_eq!((scan.found, scan.unreadable), (1, 1));
    }
}
