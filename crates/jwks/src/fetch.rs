use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    KeySet, KeySetOptions,
    set::SET_BYTES_MAX,
    state::{State, Step},
};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where the keys of a provider stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An issuer, or the whole address of its discovery document.
    Issuer(String),
    /// A key set.
    Jwks(String),
}

/// The answer of a provider.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The body of the answer.
    pub body: Vec<u8>,
    /// The header Cache-Control, empty without one.
    pub cache_control: String,
}

/// What [`HttpGet::get`] returns.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<Fetched, String>> + Send + 'a>>;

/// One HTTP GET. Only an answer of 200 within the bound is a success; the text of a failure goes to the log.
pub trait HttpGet: Send + Sync {
    /// The document at a URL, of at most so many bytes; the error says what is wrong, for the log.
    fn get<'a>(&'a self, url: &'a str, bytes_max: usize) -> FetchFuture<'a>;
}

/// The provider does not answer and no set of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the identity provider cannot be fetched")]
pub struct SourceError;

/// The key sets of all providers, fetched on demand and kept.
#[derive(Clone)]
pub struct KeySets {
    get: Arc<dyn HttpGet>,
    options: KeySetOptions,
    entries: Arc<Mutex<HashMap<Source, Arc<Entry>>>>,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    /// Held while the provider is being asked.
    flight: tokio::sync::Mutex<()>,
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySets {
    /// Empty: each set is fetched when it is first asked for.
    pub fn new(get: Arc<dyn HttpGet>, options: KeySetOptions) -> Self {
        Self { get, options, entries: Arc::default() }
    }

    /// The keys of a provider for a token with this `kid`. A name that is not in the set is worth one question to the
    /// provider, at most every `refetch_min`.
    ///
    /// # Errors
    /// When no set is known and none can be fetched now.
    pub async fn keys(&self, source: &Source, kid: Option<&str>) -> Result<Arc<KeySet>, SourceError> {
        let entry = self.entry(source);
        let step = entry.state().step(kid, Instant::now(), &self.options);
        match step {
            Step::Use(keys) => Ok(keys),
            Step::UseAndRefresh(keys) => {
                drop(self.ask(source.clone(), entry));
                Ok(keys)
            }
            Step::Wait => {
                drop(entry.flight.lock().await);
                entry.state().usable(Instant::now(), &self.options).ok_or(SourceError)
            }
            Step::Fetch => {
                // A task of its own: the provider is asked to the end even when this caller has no patience. A panic in
                // it is a failure to fetch.
                let _ = self.ask(source.clone(), entry.clone()).await;
                entry.state().usable(Instant::now(), &self.options).ok_or(SourceError)
            }
        }
    }

    /// Forgets every provider but these.
    pub fn retain(&self, sources: &HashSet<Source>) {
        self.entries().retain(|source, _| sources.contains(source));
    }

    /// Forgets the largest sets until the others fit.
    fn fit(&self) {
        let mut all: Vec<_> = self.entries().values().map(|entry| (entry.state().bytes(), entry.clone())).collect();
        let mut bytes: usize = all.iter().map(|(bytes, _)| bytes).sum();
        if bytes <= self.options.bytes_max {
            return;
        }
        all.sort_by_key(|(bytes, _)| *bytes);
        while bytes > self.options.bytes_max
            && let Some((largest, entry)) = all.pop()
        {
            entry.state().forget();
            bytes -= largest;
        }
    }

    fn entry(&self, source: &Source) -> Arc<Entry> {
        let mut entries = self.entries();
        match entries.get(source) {
            Some(entry) => entry.clone(),
            None => entries.entry(source.clone()).or_default().clone(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Source, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, source: Source, entry: Arc<Entry>) -> tokio::task::JoinHandle<()> {
        let this = self.clone();
        let answers_before = entry.state().answers;
        tokio::spawn(async move {
            let _flight = entry.flight.lock().await;
            if entry.state().answers != answers_before {
                return;
            }
            entry.state().begin(Instant::now());
            let fetched = tokio::time::timeout(this.options.timeout, this.fetch(&source)).await;
            match fetched.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                Ok((keys, lifetime)) => {
                    entry.state().succeeded(keys, lifetime, Instant::now());
                    this.fit();
                }
                Err(error) => {
                    tracing::warn!(?source, error, "the keys of an identity provider cannot be fetched");
                    entry.state().failed();
                }
            }
        })
    }

    async fn fetch(&self, source: &Source) -> Result<(KeySet, Duration), String> {
        let url = match source {
            Source::Jwks(url) => url.clone(),
            Source::Issuer(issuer) => self.discover(issuer).await?,
        };
        let answer = self.get.get(&url, SET_BYTES_MAX).await?;
        let keys = KeySet::parse(&answer.body).map_err(|error| error.to_string())?;
        let told = max_age(&answer.cache_control).unwrap_or(self.options.lifetime_max);
        let shortest = self.options.refetch_min.min(self.options.lifetime_max);
        Ok((keys, told.clamp(shortest, self.options.lifetime_max)))
    }

    /// The address of the keys, from a document that speaks for this issuer (OpenID Connect Discovery 1.0, 4.3).
    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let issuer = issuer.strip_suffix(WELL_KNOWN).unwrap_or(issuer).trim_end_matches('/');
        let answer = self.get.get(&format!("{issuer}{WELL_KNOWN}"), SET_BYTES_MAX).await?;
        let document: Value = serde_json::from_slice(&answer.body).map_err(|_| "the document is not JSON")?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        // Some providers name themselves with a slash at the end; the address of the document shows none.
        let own_name = text("issuer").ok_or("the document names no issuer")?;
        if own_name.strip_suffix('/').unwrap_or(own_name) != issuer {
            return Err("the document speaks for another issuer".to_owned());
        }
        Ok(text("jwks_uri").ok_or("the document names no jwks_uri")?.to_owned())
    }
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let mut told = None;
    for directive in cache_control.split(',').map(|part| part.trim().to_ascii_lowercase()) {
        if ["no-store", "no-cache"].contains(&directive.as_str()) {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            // A number that cannot be read counts as no life at all (RFC 9111, 4.2.1).
            told = Some(Duration::from_secs(seconds.trim_matches('"').parse().unwrap_or(0)));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_set_is_read_from_cache_control() {
        let cases = [
            ("", None),
            ("public", None),
            ("public, max-age=60", Some(60)),
            ("Max-Age=\"15\", must-revalidate", Some(15)),
            ("max-age=60, no-store", Some(0)),
            ("max-age=-1", Some(0)),
        ];
        for (header, seconds) in cases {
            assert_eq!(max_age(header), seconds.map(Duration::from_secs), "{header}");
        }
    }
}
