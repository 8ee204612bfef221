//! Whether what a process needs answers: the store, the cache, the log, other services.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Longest wait for one part; one that takes longer is gone as far as a caller is concerned.
const PART_TIME_MAX: Duration = Duration::from_millis(1_500);
/// Callers that ask at nearly the same time share a look: anybody may ask.
const LOOK_LIFE: Duration = Duration::from_millis(200);

/// Looks at one part: answers a detail, or what is wrong.
pub type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync>;

/// What one part was found to be.
#[derive(Clone, Debug)]
pub struct Part {
    /// As `/readyz` names it.
    pub name: String,
    /// Whether it is another process of the installation.
    pub is_peer: bool,
    /// A detail, or what is wrong.
    pub state: Result<String, String>,
    /// When that was found.
    pub looked_at: Instant,
}

/// The parts that a process needs.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<Looked>,
    latest: Mutex<Vec<Part>>,
}

struct Looked {
    name: String,
    is_peer: bool,
    time_max: Duration,
    check: Check,
}

/// Makes a check of an asynchronous function.
pub fn check<F>(look: impl Fn() -> F + Send + Sync + 'static) -> Check
where
    F: Future<Output = Result<String, String>> + Send + 'static,
{
    Arc::new(move || Box::pin(look()))
}

impl Readiness {
    /// A process that needs nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also this part.
    #[must_use]
    pub fn with(self, name: &str, check: Check) -> Self {
        self.with_time(name, PART_TIME_MAX, check)
    }

    /// Also this part, which may take so long.
    #[must_use]
    pub fn with_time(mut self, name: &str, time_max: Duration, check: Check) -> Self {
        self.checks.push(Looked { name: name.to_owned(), is_peer: false, time_max, check });
        self
    }

    /// Also another process of the installation.
    #[must_use]
    pub fn with_peer(mut self, name: &str, check: Check) -> Self {
        self.checks.push(Looked { name: name.to_owned(), is_peer: true, time_max: PART_TIME_MAX, check });
        self
    }

    /// For those who look.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Looks at every part at the same time.
    pub async fn look(&self) -> Vec<Part> {
        let mut latest = self.latest.lock().await;
        if latest.iter().any(|part| part.looked_at.elapsed() > LOOK_LIFE) || latest.is_empty() {
            let mut looks = Vec::new();
            for looked in &self.checks {
                let (name, look, time_max) = (looked.name.clone(), (looked.check)(), looked.time_max);
                let is_peer = looked.is_peer;
                looks.push(tokio::spawn(async move {
                    let state = tokio::time::timeout(time_max, look).await;
                    let state = state.unwrap_or_else(|_| Err(format!("no answer in {} ms", time_max.as_millis())));
                    Part { name, is_peer, state, looked_at: Instant::now() }
                }));
            }
            latest.clear();
            for look in looks {
                // A look that panics is no answer.
                latest.extend(look.await.ok());
            }
            // Another process tells of itself.
            for part in latest.iter().filter(|part| !part.is_peer) {
                let is_ready = if part.state.is_ok() { 1.0 } else { 0.0 };
                metrics::gauge!("portolan_part_ready", "part" => part.name.clone()).set(is_ready);
            }
        }
        latest.clone()
    }

    /// What is missing, one part after the other; `None` when everything answers.
    pub async fn missing(&self) -> Option<String> {
        missing(&self.look().await)
    }
}

/// What is asked of `/readyz`, by its query.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Without the other processes of the installation.
    pub is_own: bool,
    /// Each part is listed, whatever its state.
    pub is_verbose: bool,
}

impl Asked {
    /// Of the query of an address.
    pub fn of(query: &str) -> Self {
        let asks = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
        Self { is_own: asks("own"), is_verbose: asks("verbose") }
    }

    /// Those of the parts that were asked for.
    pub fn of_parts(self, mut parts: Vec<Part>) -> Vec<Part> {
        parts.retain(|part| !self.is_own || !part.is_peer);
        parts
    }
}

/// Each part with what it was found to be.
pub fn listed(parts: &[Part]) -> Value {
    let status = if missing(parts).is_none() { "ready" } else { "not ready" };
    let parts = parts.iter().map(|part| {
        let age_ms = u64::try_from(part.looked_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, detail) = match &part.state {
            Ok(detail) => ("ok", detail),
            Err(problem) => ("failed", problem),
        };
        json!({ "name": part.name, "status": status, "detail": detail, "ageMs": age_ms })
    });
    json!({ "status": status, "parts": parts.collect::<Vec<_>>() })
}

/// What is missing of these parts.
pub fn missing(parts: &[Part]) -> Option<String> {
    let faults = parts.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.state.as_ref().err()?)));
    let faults = faults.collect::<Vec<_>>();
    (!faults.is_empty()).then(|| faults.join("; "))
}
