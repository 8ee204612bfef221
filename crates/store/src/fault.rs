use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;

pub(crate) const BEGIN: &str = "store.begin";
pub(crate) const EXECUTE: &str = "store.execute";
pub(crate) const FETCH: &str = "store.fetch";
pub(crate) const COMMIT: &str = "store.commit";
pub(crate) const COMMITTED: &str = "store.committed";

/// Named fault points, for tests of what callers see and what a retry finds. The store's own points:
/// `store.begin`, `store.execute`, `store.fetch`, `store.commit` (before the commit), `store.committed` (after it, so
/// that the commit stands and its answer is lost). Services name their own through [`crate::Db::fault`].
///
/// Unarmed, a point costs one relaxed load.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

/// One named point, being armed. An armed fault strikes once; [`FaultPoint::times`] says how often.
pub struct FaultPoint<'a> {
    faults: &'a Faults,
    name: String,
    times: u32,
}

#[derive(Debug, Default)]
struct Shared {
    armed: AtomicBool,
    points: Mutex<HashMap<String, Armed>>,
}

#[derive(Clone, Debug)]
struct Armed {
    kind: Kind,
    times: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Delay(Duration),
    Fail,
    LoseConnection,
    Panic,
}

impl Faults {
    /// Names the point to arm. Arming it again replaces what was armed.
    pub fn at(&self, name: impl Into<String>) -> FaultPoint<'_> {
        FaultPoint { faults: self, name: name.into(), times: 1 }
    }

    /// Disarms every point.
    pub fn clear(&self) {
        let mut points = self.points();
        points.clear();
        self.shared.armed.store(false, Ordering::Release);
    }

    /// Uses up one strike of a point, if it is armed.
    pub(crate) fn strike(&self, name: &str) -> Option<Kind> {
        if !self.shared.armed.load(Ordering::Relaxed) {
            return None;
        }
        let mut points = self.points();
        let armed = points.get_mut(name)?;
        let kind = armed.kind;
        armed.times -= 1;
        if armed.times == 0 {
            points.remove(name);
        }
        if points.is_empty() {
            self.shared.armed.store(false, Ordering::Release);
        }
        Some(kind)
    }

    /// Waits or fails as armed. Without a connection at hand, losing it is the same as failing.
    pub(crate) async fn pass(&self, name: &str) -> Result<(), Error> {
        match self.strike(name) {
            None => Ok(()),
            Some(Kind::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Kind::Fail | Kind::LoseConnection) => Err(injected(name)),
            Some(Kind::Panic) => panic_at(name),
        }
    }

    fn points(&self) -> MutexGuard<'_, HashMap<String, Armed>> {
        self.shared.points.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultPoint<'_> {
    /// Strikes this many times instead of once. 0 arms nothing.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Waits before going on.
    pub fn delay(self, time: Duration) {
        self.arm(Kind::Delay(time));
    }

    /// Answers [`Error::Unavailable`]; a transaction is rolled back.
    pub fn fail(self) {
        self.arm(Kind::Fail);
    }

    /// Breaks the connection: on Postgres the server ends the session, on SQLite the transaction is dropped.
    pub fn lose_connection(self) {
        self.arm(Kind::LoseConnection);
    }

    /// Panics, as a mistake in the code behind the point does.
    pub fn panic(self) {
        self.arm(Kind::Panic);
    }

    fn arm(self, kind: Kind) {
        let mut points = self.faults.points();
        if self.times == 0 {
            points.remove(&self.name);
        } else {
            points.insert(self.name, Armed { kind, times: self.times });
        }
        self.faults.shared.armed.store(!points.is_empty(), Ordering::Release);
    }
}

pub(crate) fn injected(name: &str) -> Error {
    Error::Unavailable(format!("fault injected at {name}"))
}

pub(crate) fn panic_at(name: &str) -> ! {
    panic!("fault injected at {name}")
}
