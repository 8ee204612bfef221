use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock},
};

use portolan_api::Error;
use redis::{RedisError, Script};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    hints::Hints,
    reading::Reading,
    scripts,
    times::{GENERATION_MS, LEASE_MS, TOMBSTONE_MS, VALUE_MS},
};
use crate::{
    Redis,
    link::LinkSession,
    near::{Ended, Near},
    news,
};

/// The part of a value that is looked at before the rest is fetched: longer than any header.
const HEADER_BYTES: isize = 255;
/// Decoded values kept; above this the memory starts over.
const DECODED_MAX: usize = 100_000;

/// The form in Redis. What was decoded once is kept with its stamp, so that a hit moves and decodes only a header,
/// however long the value is.
pub struct Shared<V> {
    space: Space,
    /// Copies before the protocol, where the processes of the installation have them.
    copies: Option<Arc<Copies<V>>>,
    hints: Hints,
    decoded: Arc<RwLock<Decoded<V>>>,
}

struct Copies<V> {
    near: Near<String, Arc<V>>,
    /// Set when messages are listened for.
    heard: OnceLock<()>,
}

impl<V> Default for Copies<V> {
    fn default() -> Self {
        Self { near: Near::default(), heard: OnceLock::new() }
    }
}

/// Values by key, each with its stamp.
type Decoded<V> = HashMap<String, (u64, Arc<V>)>;

impl<V> Clone for Shared<V> {
    fn clone(&self) -> Self {
        Self {
            space: self.space.clone(),
            copies: self.copies.clone(),
            hints: self.hints.clone(),
            decoded: self.decoded.clone(),
        }
    }
}

/// The keys of one cache.
#[derive(Clone)]
pub(super) struct Space {
    redis: Redis,
    name: &'static str,
    /// Whether readers copy the values.
    is_copied: bool,
}

pub(super) struct Lease<V> {
    cache: Shared<V>,
    /// The run of the server that gave the lease.
    session: LinkSession,
    key: String,
    nonce: u64,
    basis: Option<Arc<str>>,
    generation: String,
    value: PhantomData<V>,
}

/// The header of a value.
struct Header<'a> {
    stamp: u64,
    basis: &'a str,
    generation: &'a str,
    rest: &'a str,
}

impl<'a> Header<'a> {
    fn parse(slot: &'a str) -> Option<Self> {
        let mut parts = slot.strip_prefix('V')?.splitn(4, '|');
        let (stamp, basis, generation, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { stamp: u64::from_str_radix(stamp, 16).ok()?, basis, generation, rest })
    }
}

impl<V> Shared<V> {
    pub(super) fn new(redis: Redis, name: &'static str) -> Self {
        let space = Space { redis, name, is_copied: false };
        Self { space, copies: None, hints: Hints::default(), decoded: Arc::default() }
    }

    /// The same with copies before it.
    pub(super) fn copied(redis: Redis, name: &'static str) -> Self {
        let space = Space { redis, name, is_copied: true };
        Self { space, copies: Some(Arc::default()), hints: Hints::default(), decoded: Arc::default() }
    }

    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    /// The copies before it. Messages that end them early are listened for from the first read on: a writer keeps none.
    pub(super) fn copies(&self) -> Option<&Near<String, Arc<V>>>
    where
        V: Send + Sync + 'static,
    {
        let copies = self.copies.as_ref()?;
        copies.heard.get_or_init(|| news::follow(&self.space.redis, copies.near.forgets()));
        Some(&copies.near)
    }

    fn known(&self, key: &str, stamp: u64) -> Option<Arc<V>> {
        let decoded = self.decoded.read().unwrap_or_else(PoisonError::into_inner);
        decoded.get(key).filter(|(known, _)| *known == stamp).map(|(_, value)| value.clone())
    }

    fn keep(&self, key: &str, stamp: u64, value: &Arc<V>) {
        let mut decoded = self.decoded.write().unwrap_or_else(PoisonError::into_inner);
        if decoded.len() >= DECODED_MAX {
            decoded.clear();
        }
        decoded.insert(key.to_owned(), (stamp, value.clone()));
    }
}

impl<V: Serialize + DeserializeOwned> Shared<V> {
    pub(super) async fn get(&self, key: &str) -> Reading<V, Lease<V>> {
        let hint = self.hints.of(key);
        let found = self.space.redis.hurried(async |session| self.look(session, key, hint).await).await;
        found.unwrap_or(Reading::Miss)
    }

    async fn look(
        &self,
        mut session: LinkSession,
        key: &str,
        hint: Option<Arc<str>>,
    ) -> Result<Reading<V, Lease<V>>, RedisError> {
        let full = self.space.full(&session, key);
        let mut pipe = redis::pipe();
        pipe.cmd("GETRANGE").arg(&full).arg(0).arg(HEADER_BYTES);
        if let Some(basis) = &hint {
            pipe.cmd("GETRANGE").arg(self.space.full(&session, basis)).arg(0).arg(HEADER_BYTES);
        }
        let looked: Vec<String> = match hint {
            // One command needs no pipeline.
            None => {
                let mut get = redis::cmd("GETRANGE");
                get.arg(&full).arg(0).arg(HEADER_BYTES);
                vec![get.query_async(&mut session.connection).await?]
            }
            Some(_) => pipe.query_async(&mut session.connection).await?,
        };
        let header = Header::parse(&looked[0]);
        if let Some(header) = &header
            && header.basis == hint.as_deref().unwrap_or_default()
            && (header.basis.is_empty() || looked[1].strip_prefix('G') == Some(header.generation))
            && let Some(value) = self.known(key, header.stamp)
        {
            return Ok(Reading::Hit(value));
        }
        // Tombstones and leases of others: the owner is asked, and nothing is filled. A tombstone of the expected basis says
        // nothing about a value that rests on another.
        let expected = header.is_none_or(|header| header.basis == hint.as_deref().unwrap_or_default());
        if looked[0].starts_with(['T', 'L']) || expected && looked[1..].iter().any(|slot| slot.starts_with('T')) {
            return Ok(Reading::Miss);
        }
        self.lease(session, key, full, hint).await
    }

    async fn lease(
        &self,
        mut session: LinkSession,
        key: &str,
        full: String,
        hint: Option<Arc<str>>,
    ) -> Result<Reading<V, Lease<V>>, RedisError> {
        static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::LEASE));
        let nonce = rand::random();
        let mut call = LEASE.key(full);
        if let Some(basis) = &hint {
            call.key(self.space.full(&session, basis));
        }
        call.arg(hex(nonce)).arg(self.space.full(&session, "")).arg(hint.as_deref().unwrap_or_default());
        call.arg(LEASE_MS).arg(GENERATION_MS);
        let Some(answer) = call.invoke_async::<Option<String>>(&mut session.connection).await? else {
            return Ok(Reading::Miss);
        };
        if let Some(generation) = answer.strip_prefix('L') {
            let generation = generation.to_owned();
            let cache = self.clone();
            let key = key.to_owned();
            let lease = Lease { cache, session, key, nonce, basis: hint, generation, value: PhantomData };
            return Ok(Reading::Leased(lease));
        }
        // A value of another version of the program cannot be read: the owner is asked until it expires.
        let Some(header) = Header::parse(&answer) else { return Ok(Reading::Miss) };
        let Ok(value) = serde_json::from_str(header.rest).map(Arc::new) else { return Ok(Reading::Miss) };
        self.keep(key, header.stamp, &value);
        self.hints.note(key, Some(header.basis).filter(|basis| !basis.is_empty()));
        Ok(Reading::Hit(value))
    }
}

impl<V: Serialize + DeserializeOwned> Lease<V> {
    pub async fn fill(self, value: Arc<V>, basis: Option<&str>) {
        let space = &self.cache.space;
        let full = space.full(&self.session, &self.key);
        let leased = self.basis.as_deref().unwrap_or_default();
        let lease = format!("L{}|{leased}|{}", hex(self.nonce), self.generation);
        let mut connection = self.session.connection.clone();
        if self.basis.as_deref() != basis {
            static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::RELEASE));
            self.cache.hints.note(&self.key, basis);
            let mut call = RELEASE.key(full);
            call.arg(lease);
            // A lease that stays ends by itself.
            let _ = space.redis.hurried(async |_| call.invoke_async::<i64>(&mut connection).await).await;
            return;
        }
        static FILL: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::FILL));
        let Ok(json) = serde_json::to_string(&*value) else { return };
        let mut call = FILL.key(full);
        if let Some(basis) = basis {
            call.key(space.full(&self.session, basis));
        }
        call.arg(lease).arg(&self.generation);
        call.arg(format!("V{}|{leased}|{}|{json}", hex(self.nonce), self.generation)).arg(VALUE_MS);
        // Through the connection of the lease: another run of the server knows nothing of it. An answer that is lost
        // costs a look at the value.
        let filled = space.redis.hurried(async |_| call.invoke_async::<i64>(&mut connection).await).await;
        if filled == Ok(1) {
            self.cache.keep(&self.key, self.nonce, &value);
        }
    }
}

impl Space {
    /// What is left to do for the answer of a change of these keys.
    pub fn ended(&self, names: Vec<String>) -> Ended {
        if self.is_copied { Ended::copied(&self.redis, names) } else { Ended::uncopied() }
    }

    fn full(&self, session: &LinkSession, key: &str) -> String {
        format!("{}{}:{}", session.prefix, self.name, key.replace('|', "/"))
    }

    pub async fn begin(&self, keys: &[String], nonce: u64) -> Result<(), Error> {
        static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::BEGIN));
        self.change(&BEGIN, keys, nonce).await
    }

    pub async fn finish(&self, keys: &[String], nonce: u64) -> Result<(), Error> {
        static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::FINISH));
        self.change(&FINISH, keys, nonce).await
    }

    async fn change(&self, script: &Script, keys: &[String], nonce: u64) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let call = async |mut session: LinkSession| {
            let mut call = script.prepare_invoke();
            for key in keys {
                call.key(self.full(&session, key));
            }
            call.arg(hex(nonce)).arg(TOMBSTONE_MS);
            call.invoke_async::<i64>(&mut session.connection).await
        };
        // A connection that broke unnoticed is worth a second attempt: both scripts may run twice.
        match self.redis.patient(call).await {
            Ok(_) => Ok(()),
            Err(_) => self.redis.patient(call).await.map(drop),
        }
    }
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}
