use std::{
    borrow::Borrow,
    future::Future,
    hash::Hash,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use portolan_api::Error;

use super::{
    kept::Kept,
    rule,
    shelf::{Flight, Landed, Shelf},
    times::NEAR_NS,
};
use crate::news::Forgets;

/// The copies of one kind of values. Clones share them.
pub struct Near<K, V> {
    shelf: Arc<Mutex<Shelf<K, V>>>,
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
    /// Returns a copy, or what `strictly` finds. That is asked more than once only where a read that others had begun
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use portolan_api::Reason;
    use tokio::sync::Semaphore;

    use super::*;

    fn kept(value: u32) -> Kept<u32> {
        Kept { value, bytes: 1, names: vec!["name".to_owned()] }
    }

    #[tokio::test]
    async fn reads_that_come_together_are_one() {
        let (near, asked, gate) = (Near::<u64, u32>::default(), AtomicU32::new(0), Semaphore::new(0));
        let strictly = || async {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Ok(kept(number))
        };
        let open = async {
            tokio::task::yield_now().await;
            gate.add_permits(1);
        };
        let reads = tokio::join!(near.read(&1, strictly), near.read(&1, strictly), near.read(&1, strictly), open);
        assert_eq!((reads.0, reads.1, reads.2), (Ok(0), Ok(0), Ok(0)));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        near.forgets().upgrade().unwrap().forget(&["name"]);
        gate.add_permits(1);
        assert_eq!(near.read(&1, strictly).await, Ok(1));
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let (near, asked) = (Near::<u64, u32>::default(), AtomicU32::new(0));
        let strictly = || async {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Reason::Unauthenticated.into()),
                number => Ok(kept(number)),
            }
        };
        assert!(near.read(&1, strictly).await.is_err());
        assert_eq!(near.read(&1, strictly).await, Ok(1));
    }

    #[tokio::test]
    async fn who_waits_reads_when_the_reader_is_cut_off() {
        let (near, asked) = (Near::<u64, u32>::default(), AtomicU32::new(0));
        let strictly = || async {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => std::future::pending().await,
                number => Ok(kept(number)),
            }
        };
        let mut first = Box::pin(near.read(&1, strictly));
        assert!(is_pending(&mut first).await);
        let mut second = Box::pin(near.read(&1, strictly));
        assert!(is_pending(&mut second).await);
        drop(first);
        assert_eq!(second.await, Ok(1));
    }

    /// Polls once.
    async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
