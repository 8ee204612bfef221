//! Looks at a running installation from the outside and at what it stands on, and says what is wrong.

mod finding;
mod machine;
mod processes;
mod stores;

use std::time::Duration;

use portolan_runtime::{ProcessArgs, process::BoxError};
use portolan_store::Store;

use self::finding::Finding;
use crate::{commands::say, roles::TABLES};

/// Longest wait for one part.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints a line for each check and ends with an error when one of them failed.
pub(crate) async fn run(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = match arguments.load() {
        Ok(config) => config,
        Err(error) => {
            print("configuration", &Err(error.to_string()));
            return Err("the other checks need a configuration".into());
        }
    };
    let mut failed = 0;
    let mut note = |name: &str, finding: Finding| {
        failed += usize::from(finding.is_err());
        print(name, &finding);
    };
    let shared = &config.shared;
    let (store, cache, log) = (place(&config.store_url()), place(&shared.cache.url), place(&shared.log.url));
    note("configuration", Ok("every key is known".into()));
    // Everything that follows needs tables of this version; a store that does not answer is told below.
    if let Err(error @ portolan_store::Error::Foreign { .. }) = Store::expect_known(&config.store_url(), &TABLES).await
    {
        note("store", Err(error.to_string()));
        return Err("the other checks need data of this version".into());
    }
    note("secret key", bounded(&store, machine::secret_key(&config)).await);
    note("data directory", machine::directory(&config));
    note("disk", machine::disk(&config));
    note("certificates", machine::certificates(&config));
    note("store", bounded(&store, stores::store(&config)).await);
    note("clock", bounded(&store, stores::clock(&config)).await);
    note("connections", bounded(&store, stores::connections(&config)).await);
    note("stored settings", bounded(&store, stores::stored_settings(&config)).await);
    note("cache", bounded(&cache, stores::cache(&config)).await);
    note("log", bounded(&log, stores::log(&config)).await);
    note("outbox", bounded(&store, stores::outbox(&config)).await);
    note("gateway", bounded(&shared.http.addr, processes::gateway(&config)).await);
    for (service, address) in processes::addresses(&config) {
        note(
            &format!("{service} at {address}"),
            bounded(&address, processes::health(&config, service, &address)).await,
        );
    }
    note("edge", bounded("tokens", processes::edge_hosts(&config)).await);
    note("other servers", bounded("one of them", processes::others(&config)).await);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} checks failed").into()) }
}

/// One line each, whatever a server wrote into its message.
fn print(name: &str, finding: &Finding) {
    let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" | ");
    match finding {
        Ok(detail) => say(format_args!("ok    {name}: {}", one_line(detail))),
        Err(problem) => say(format_args!("FAIL  {name}: {}", one_line(problem))),
    }
}

/// What is looked at stands in the place that `whose` names.
async fn bounded(whose: &str, check: impl Future<Output = Finding>) -> Finding {
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| {
        let waited_s = PATIENCE.as_secs();
        Err(format!(
            "no answer from {whose} in {waited_s} s: is the address right, and does a firewall let it through?"
        ))
    })
}

/// The servers of a URL, without user, password and parameters.
fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_hold_no_password() {
        assert_eq!(
            place("postgres://user:p@ss@db.example.org:5432/portolan?sslmode=require"),
            "db.example.org:5432/portolan"
        );
        assert_eq!(place("kafka://one:9092,two:9092?password=secret"), "one:9092,two:9092");
        assert_eq!(place("sqlite:data"), "sqlite:data");
    }
}
