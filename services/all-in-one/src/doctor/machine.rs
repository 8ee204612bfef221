//! What a process finds on its own machine: the secret key, the data directory, room on the disk, certificates.

use std::time::{SystemTime, UNIX_EPOCH};

use portolan_runtime::{Config, Keys, certificate_times, expect_private_key, key_mark, open_to_others};

use super::{finding::Finding, stores::existing};

/// Least free space of the data directory, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 30;
const DAY_S: i64 = 24 * 3_600;
/// A certificate that ends sooner has not been renewed in time.
const CERTIFICATE_DAYS_MIN: i64 = 7;

pub(super) async fn secret_key(config: &Config) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    let path = config.secret_key_file();
    let shown = path.display().to_string();
    let data = std::fs::metadata(&path).map_err(|error| {
        format!("{shown}: {error}: secrets.key_file names it, and without it `secret-key` in the data directory")
    })?;
    if data.permissions().mode() & 0o007 != 0 {
        return Err(format!("{shown} can be read by everybody: chmod 600 {shown}"));
    }
    let keys = Keys::load(&path).map_err(|error| error.to_string())?;
    let db = existing(config).await?.service("identity").await.map_err(|error| error.to_string())?;
    key_mark::check(&db, &keys).await.map_err(|error| error.to_string())?;
    Ok(shown)
}

pub(super) fn directory(config: &Config) -> Finding {
    let shown = config.data_dir.display();
    if !config.data_dir.is_dir() {
        return Err(format!("{shown} is not there: --data-dir names it"));
    }
    let open = open_to_others(config);
    match open.as_slice() {
        [] => Ok(format!("{shown} is for its owner alone")),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(", and so can {} more", rest.len()) };
            Err(format!("{} can be read by others{more}: chmod -R go= {shown}", first.display()))
        }
    }
}

pub(super) fn disk(config: &Config) -> Finding {
    let path = config.data_dir.display();
    let free = fs4::available_space(&config.data_dir).map_err(|error| format!("{path}: {error}"))?;
    let shown = format!("{path} has {} MiB left", free >> 20);
    if free < FREE_BYTES_MIN {
        return Err(format!("{shown}: free some, writes are refused when it is full"));
    }
    Ok(shown)
}

/// Certificates and their keys, as far as files tell.
pub(super) fn certificates(config: &Config) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    let (mut problems, mut first): (Vec<String>, Option<(i64, &str)>) = (Vec::new(), None);
    for (key, path) in config.certificate_files() {
        let shown = path.display();
        match certificate_times(&path) {
            Err(error) => problems.push(format!("{key} {shown}: {error}")),
            Ok((start, _)) if start > now => problems.push(format!(
                "{key} {shown} counts from {} h on: is the clock of this machine right?",
                (start - now) / 3_600 + 1
            )),
            Ok((_, end)) if end <= now => {
                problems.push(format!("{key} {shown} ended {} h ago: replace the file", (now - end) / 3_600));
            }
            Ok((_, end)) if end - now < CERTIFICATE_DAYS_MIN * DAY_S => {
                problems.push(format!("{key} {shown} ends in {} h: replace the file", (end - now) / 3_600));
            }
            Ok((_, end)) => first = Some(first.map_or((end, key), |known| known.min((end, key)))),
        }
    }
    for (key, path) in config.private_key_files() {
        if let Err(error) = expect_private_key(&path) {
            problems.push(format!("{key} {}: {error}", path.display()));
        }
    }
    match (problems.is_empty(), first) {
        (false, _) => Err(problems.join("; ")),
        (true, Some((end, key))) => Ok(format!("the first, {key}, ends in {} days", (end - now) / DAY_S)),
        (true, None) => Ok("none is configured".to_owned()),
    }
}
