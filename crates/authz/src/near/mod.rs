//! Copies in the memory of a process, before every read that asks another process.
//!
//! A strict read sees every change that was answered before it began. A copy of what it found
//! - serves until [`NEAR`] after the moment at which the strict read **began**, by a monotonic clock that is read while
//!   the request is served, and
//! - a change is answered [`SETTLE`] after the moment at which the strict protocol would have answered it.
//!
//! Why nothing stale is served after an answer: a strict read that began after the change had ended by the strict protocol
//! is fresh. One that began before that end leaves a copy that ends [`NEAR`] later, and the answer comes after that, also
//! when the clock of the copy is [`rule::RATE_ERROR_PERCENT`] slower than that of the change. Nothing else is needed: no
//! message has to arrive, and a process that was stopped for any time looks at its clock when it serves. Changes tell the
//! other processes all the same, so that they ask again early ([`news`](crate::news)).
//!
//! Copies never rest on copies: what answers a strict read reads strictly itself.
//!
//! Reads of one key that come together share one. Who waited takes what the read found only where a copy would have
//! served it, or where the read began after the wait did.

mod checked;
pub mod rule;
mod settle;
mod shelf;

use std::{
    borrow::Borrow,
    future::Future,
    hash::Hash,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use portolan_api::Error;

pub use self::settle::{Ended, settled};
pub(crate) use self::checked::NearCredentials;
use self::shelf::{Flight, Landed, Shelf};
use crate::news::Forgets;

/// How long a copy may serve after its strict read began.
pub const NEAR: Duration = Duration::from_millis(250);
/// How long a change waits between its end by the strict protocol and its answer.
pub const SETTLE: Duration = Duration::from_nanos(rule::settled_after(NEAR_NS));

const NEAR_NS: u64 = NEAR.as_nanos() as u64;

/// The copies of one kind of values. Clones share them.
pub struct Near<K, V> {
    shelf: Arc<Mutex<Shelf<K, V>>>,
}

/// What a strict read found.
pub struct Kept<V> {
    pub value: V,
    /// What it weighs, with its key.
    pub bytes: usize,
    /// The names by which changes tell of it.
    pub names: Vec<String>,
}

/// What a value weighs in memory.
pub trait Weigh {
    fn bytes(&self) -> usize;
}

enum Look<V> {
    Copy(V),
    Flight(Arc<Flight<V>>),
}

impl<K, V> Clone for Near<K, V> {
    fn clone(&self) -> Self {
        Self { shelf: self.shelf.clone() }
    }
}

impl<K, V> Default for Near<K, V> {
    fn default() -> Self {
        Self { shelf: Arc::default() }
    }
}

impl<K, V> Near<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Answers a copy, or what `strictly` finds. That is asked more than once only where a read that others had begun
    /// does not count for this request.
    ///
    /// # Errors
    /// Those of the read. They are told to those who waited for it, and not kept.
    pub async fn read<Q, F>(&self, key: &Q, strictly: impl Fn() -> F) -> Result<V, Error>
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: Borrow<Q>,
        F: Future<Output = Result<Kept<V>, Error>>,
    {
        let arrived_ns = now_ns();
        loop {
            let flight = match self.look(key, arrived_ns) {
                Look::Copy(value) => return Ok(value),
                Look::Flight(flight) => flight,
            };
            // Whoever reads may be cut off: then the next who waits reads, at a beginning of its own.
            let landed = flight.landed.get_or_init(|| self.fly(key, &flight, &strictly)).await;
            // An error is nothing that may have been true when this request came.
            let is_shared = match landed.outcome {
                Ok(_) => rule::may_share(landed.began_ns, arrived_ns, now_ns(), NEAR_NS),
                Err(_) => landed.began_ns >= arrived_ns,
            };
            if is_shared {
                return landed.outcome.clone();
            }
            self.lock().remove(key, &flight);
        }
    }

    fn look<Q>(&self, key: &Q, arrived_ns: u64) -> Look<V>
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: Borrow<Q>,
    {
        let mut shelf = self.lock();
        if let Some(flight) = shelf.get(key) {
            match flight.landed.get() {
                None => return Look::Flight(flight.clone()),
                Some(Landed { began_ns, outcome: Ok(value) }) if rule::may_serve(*began_ns, arrived_ns, NEAR_NS) => {
                    return Look::Copy(value.clone());
                }
                Some(_) => {}
            }
        }
        Look::Flight(shelf.begin(key.to_owned(), arrived_ns))
    }

    async fn fly<Q, F>(&self, key: &Q, flight: &Flight<V>, strictly: impl Fn() -> F) -> Landed<V>
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: Borrow<Q>,
        F: Future<Output = Result<Kept<V>, Error>>,
    {
        let began_ns = now_ns();
        let outcome = strictly().await.map(|mut found| {
            self.lock().note(key, flight, &mut found);
            found.value
        });
        Landed { began_ns, outcome }
    }

    /// A panic while the lock is held leaves whole entries behind, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Shelf<K, V>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For messages that tell of changes. They do not keep the copies alive.
    pub(crate) fn forgets(&self) -> std::sync::Weak<dyn Forgets> {
        let shelf: Arc<dyn Forgets> = self.shelf.clone();
        Arc::downgrade(&shelf)
    }
}

impl<K, V> Forgets for Mutex<Shelf<K, V>>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    fn forget(&self, names: &[&str]) {
        self.lock().unwrap_or_else(PoisonError::into_inner).forget(names);
    }

    fn forget_all(&self) {
        self.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Of a clock that nobody sets.
fn now_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}
