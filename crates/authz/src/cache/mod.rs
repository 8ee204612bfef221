//! Values owned by another part, kept so that a change is never answered while an old value can still be served.
//!
//! The protocol is that of leases. A reader that misses takes a lease, reads from the owner, and fills only if the
//! lease is still its own. A change
//! 1. puts a tombstone, which ends every lease and every value; when that fails, the change is refused and nothing has
//!    changed;
//! 2. commits to the owner's database;
//! 3. removes its tombstone, or whatever stands there instead; only when that succeeded is the change answered.
//!
//! Why nothing stale is served after an answer: a value is filled under a lease taken before it was read. What was read
//! before the commit was leased before step 3, and step 3 removes every lease and every value. So what is filled later
//! was leased, and therefore read, after the commit. That holds whatever was lost, expired or delayed before step 3;
//! the tombstone adds that a change counts from its commit on, even when its writer dies between steps 2 and 3.
//!
//! A value may rest on a second key, its basis: the grant of a user with a custom role rests on that role. It is served
//! only while the generation of its basis is the one it was leased under, and a change of the basis ends that
//! generation. So one change of a role ends the grants of all who hold it, and both keys are read in one round trip.
//!
//! Where readers copy values ([`near`](crate::near)), the answer of a change waits for the copies after step 3.
//!
//! `slots.rs` is the protocol as pure code: it is what the memory form runs and what the model checker checks. `scripts.rs`
//! is the same for Redis; a test compares the two step by step.

mod hints;
mod memory;
mod read;
mod reading;
mod redis;
mod scripts;
pub mod slots;
mod times;

use std::sync::Arc;

use portolan_api::Error;
use serde::{Serialize, de::DeserializeOwned};

pub use self::times::{GENERATION_MS, LEASE_MS, TOMBSTONE_MS, VALUE_MS};
use self::{
    memory::{Memory, Tombstones},
    reading::Reading,
    redis::Shared,
};
use crate::{Redis, near::Ended};

/// A cache under the protocol of this module. Clones share their values.
pub enum Cache<V> {
    /// In this process; right only when every reader and writer of the values lives in it.
    Memory(Memory<V>),
    /// In a Redis that every reader and writer of the values shares.
    Redis(Shared<V>),
    /// Every read asks the owner.
    Off,
}

/// What a look-up found.
pub enum Lookup<V> {
    /// The value that is kept.
    Hit(Arc<V>),
    /// Read from the owner, then fill the lease if there is one.
    Miss(Option<Lease<V>>),
}

impl<V> Lookup<V> {
    fn of<L>(found: Reading<V, L>, lease: impl FnOnce(L) -> LeaseInner<V>) -> Self {
        match found {
            Reading::Hit(value) => Self::Hit(value),
            Reading::Miss => Self::Miss(None),
            Reading::Leased(leased) => Self::Miss(Some(Lease { inner: lease(leased) })),
        }
    }
}

/// The right to fill a key, as long as nothing changed meanwhile.
pub struct Lease<V> {
    inner: LeaseInner<V>,
}

enum LeaseInner<V> {
    Memory(memory::Lease<V>),
    Redis(Box<redis::Lease<V>>),
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Memory(memory) => Self::Memory(memory.clone()),
            Self::Redis(shared) => Self::Redis(shared.clone()),
            Self::Off => Self::Off,
        }
    }
}

impl<V> Cache<V> {
    /// A cache in the memory of this process, for values that no other process changes.
    pub fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    /// `space` keeps the keys of this cache apart from those of others.
    pub fn redis(redis: Redis, space: &'static str) -> Self {
        Self::Redis(Shared::new(redis, space))
    }

    /// The same with copies in this process before it, which every writer of the values waits for: all processes of an
    /// installation use this form, or none does. Called within a runtime.
    pub fn near(redis: Redis, space: &'static str) -> Self {
        Self::Redis(Shared::copied(redis, space))
    }

    /// The writers' side.
    pub fn changes(&self) -> Changes
    where
        V: Send + Sync + 'static,
    {
        Changes(match self {
            Self::Memory(memory) => Inner::Memory(Arc::new(memory.clone())),
            Self::Redis(shared) => Inner::Redis(shared.space().clone()),
            Self::Off => Inner::Off,
        })
    }

    /// Announces a change of the values under these keys, or resting on them, before the database is touched. Call
    /// [`PendingChange::finish`] after the commit and before the answer.
    ///
    /// # Errors
    /// `UNAVAILABLE` when readers cannot be told; then nothing may be changed.
    pub async fn begin_change(&self, keys: impl IntoIterator<Item = String>) -> Result<PendingChange, Error>
    where
        V: Send + Sync + 'static,
    {
        self.changes().begin(keys).await
    }
}

impl<V: Serialize + DeserializeOwned> Cache<V> {
    /// Never fails: what cannot be had from the cache is asked of the owner.
    pub async fn get(&self, key: &str) -> Lookup<V> {
        match self {
            Self::Memory(memory) => Lookup::of(memory.get(key), LeaseInner::Memory),
            Self::Redis(shared) => Lookup::of(shared.get(key).await, |lease| LeaseInner::Redis(Box::new(lease))),
            Self::Off => Lookup::Miss(None),
        }
    }
}

impl<V: Serialize + DeserializeOwned> Lease<V> {
    /// `value` must have been read from the owner after the lease was taken.
    pub async fn fill(self, value: Arc<V>) {
        self.fill_on(value, None).await;
    }

    /// Fills a value that rests on the value of another key. The first lease of a key knows nothing of its basis: then
    /// nothing is filled, and the next lease covers the basis too.
    pub async fn fill_on(self, value: Arc<V>, basis: Option<&str>) {
        match self.inner {
            LeaseInner::Memory(lease) => lease.fill(value, basis),
            LeaseInner::Redis(lease) => lease.fill(value, basis).await,
        }
    }
}

/// The writers' side of a cache, whatever its values are.
#[derive(Clone)]
pub struct Changes(Inner);

#[derive(Clone)]
enum Inner {
    Memory(Arc<dyn Tombstones>),
    Redis(redis::Space),
    Off,
}

/// A change under way. Dropped without [`PendingChange::finish`] it leaves its tombstones until they expire: whether the
/// database has committed is not known then.
#[must_use = "call finish after the commit"]
pub struct PendingChange {
    changes: Changes,
    keys: Vec<String>,
    nonce: u64,
}

impl Changes {
    /// For values that nobody caches.
    pub fn off() -> Self {
        Self(Inner::Off)
    }

    /// As [`Cache::begin_change`].
    ///
    /// # Errors
    /// `UNAVAILABLE` when readers cannot be told; then nothing may be changed.
    pub async fn begin(&self, keys: impl IntoIterator<Item = String>) -> Result<PendingChange, Error> {
        let (keys, nonce) = (keys.into_iter().collect::<Vec<_>>(), rand::random());
        match &self.0 {
            Inner::Memory(memory) => memory.begin(&keys, nonce),
            Inner::Redis(space) => space.begin(&keys, nonce).await?,
            Inner::Off => {}
        }
        Ok(PendingChange { changes: self.clone(), keys, nonce })
    }

    /// The end of values that every strict read has from the owner's database, so that it needs no announcement. Called
    /// after the commit.
    pub fn ended(&self, names: impl IntoIterator<Item = String>) -> Ended {
        match &self.0 {
            Inner::Redis(space) => space.ended(names.into_iter().collect()),
            Inner::Memory(_) | Inner::Off => Ended::uncopied(),
        }
    }
}

impl PendingChange {
    /// Ends the change and waits for the copies of what it changed; its answer may be given when this has succeeded.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn finish(self) -> Result<(), Error> {
        self.end().await?.settle().await;
        Ok(())
    }

    /// Ends a change that changed nothing, so that readers may cache again. One that cannot be told asks the owner until
    /// the tombstone expires.
    pub async fn withdraw(self) {
        let _ = self.end().await;
    }

    /// Ends the change: whoever reads strictly has it. Its answer may be given when what this answers has settled.
    ///
    /// # Errors
    /// `UNAVAILABLE` when readers cannot be told. The change is in the database then, but must not be answered as done:
    /// the caller may repeat it, and a repetition announces and finishes again although it finds nothing to change.
    pub async fn end(self) -> Result<Ended, Error> {
        match &self.changes.0 {
            Inner::Memory(memory) => memory.finish(&self.keys, self.nonce),
            Inner::Redis(space) => space.finish(&self.keys, self.nonce).await?,
            Inner::Off => {}
        }
        Ok(self.changes.ended(self.keys))
    }
}
