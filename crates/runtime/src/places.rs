//! How many calls of one account are at work at once.
//!
//! Whoever calls on many connections would otherwise have as many parts of the machine, and whoever makes one call after
//! the other a single one. While several accounts call, each has half of the cores for its calls. What it sends beyond
//! that waits in its order, for 100 ms at most: a long call delays others of its own account, and stops none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use portolan_ids::AccountId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// A call that has waited for so long goes on, however many of its account are at work.
const WAIT_TIME_MAX: Duration = Duration::from_millis(100);
/// An account that has called within this is one of those that call.
const CALLING_TIME: Duration = Duration::from_secs(1);
/// Metric of calls that waited for a place.
const WAITED: &str = "portolan_calls_waited_total";

/// Where calls are at work.
pub(crate) struct Places {
    account_max: usize,
    calling: Mutex<Calling>,
}

#[derive(Default)]
struct Calling {
    by_account: HashMap<AccountId, Own>,
    /// Who called last, and when.
    last: Option<(AccountId, Instant)>,
    /// When somebody else than the last one did.
    other_at: Option<Instant>,
}

/// What an account has at work or waiting.
struct Own {
    turns: Arc<Semaphore>,
    calls: usize,
}

/// A place of one call, given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    account: AccountId,
    /// None of a call of an account that is alone, and of one that has waited long enough.
    turn: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// Half of the cores for each account, and one at least.
    pub fn bounded() -> Arc<Self> {
        Self::with_max(available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)))
    }

    fn with_max(account_max: usize) -> Arc<Self> {
        // From zero on, so that the first wait is an increase.
        metrics::counter!(WAITED).increment(0);
        Arc::new(Self { account_max, calling: Mutex::default() })
    }

    /// A place for a call of this account, as soon as it may be at work.
    pub async fn enter(self: &Arc<Self>, account: AccountId) -> Place {
        let (turns, is_alone) = self.arrive(account);
        // Before the wait, so that a caller who goes away meanwhile leaves nothing behind.
        let mut place = Place { places: self.clone(), account, turn: turns.clone().try_acquire_owned().ok() };
        if place.turn.is_none() && !is_alone {
            metrics::counter!(WAITED).increment(1);
            place.turn = timeout(WAIT_TIME_MAX, turns.acquire_owned()).await.ok().and_then(Result::ok);
        }
        place
    }

    /// The turns of the account, and whether nobody else calls.
    fn arrive(&self, account: AccountId) -> (Arc<Semaphore>, bool) {
        let now = Instant::now();
        let mut calling = self.lock();
        if let Some((last, last_at)) = calling.last.replace((account, now))
            && last != account
        {
            calling.other_at = Some(last_at);
        }
        let is_alone = calling.other_at.is_none_or(|at| now - at > CALLING_TIME);
        let none = || Own { turns: Arc::new(Semaphore::new(self.account_max)), calls: 0 };
        let own = calling.by_account.entry(account).or_insert_with(none);
        own.calls += 1;
        (own.turns.clone(), is_alone)
    }

    fn lock(&self) -> MutexGuard<'_, Calling> {
        self.calling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut calling = self.places.lock();
        if let Some(own) = calling.by_account.get_mut(&self.account) {
            own.calls -= 1;
            if own.calls == 0 {
                calling.by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: AccountId = AccountId(1);
    const QUIET: AccountId = AccountId(2);

    async fn wait(places: &Arc<Places>, account: AccountId) -> (Place, Duration) {
        let arrived = Instant::now();
        let place = places.enter(account).await;
        (place, arrived.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_waits_for_nothing() {
        let places = Places::with_max(1);
        let mut at_work = Vec::new();
        drop(places.enter(QUIET).await);
        tokio::time::advance(CALLING_TIME * 2).await;
        for _ in 0..10 {
            let (place, waited) = wait(&places, LOUD).await;
            assert_eq!(waited, Duration::ZERO);
            at_work.push(place);
        }
        drop(at_work);
        assert!(places.lock().by_account.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn while_others_call_an_account_waits_for_itself_alone() {
        let places = Places::with_max(2);
        let at_work = [places.enter(LOUD).await, places.enter(LOUD).await];
        let (quiet, waited) = wait(&places, QUIET).await;
        assert_eq!(waited, Duration::ZERO, "another one's calls are not waited for");
        drop(quiet);

        // The first that ends gives its place to the first that waits.
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let (places, order) = (places.clone(), order.clone());
                tokio::spawn(async move {
                    let (place, waited) = wait(&places, LOUD).await;
                    order.lock().unwrap().push((number, waited));
                    drop(place);
                })
            })
            .collect();
        tokio::time::sleep(WAIT_TIME_MAX / 2).await;
        let [first, second] = at_work;
        drop(first);
        for call in waiting {
            call.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [(0, WAIT_TIME_MAX / 2), (1, WAIT_TIME_MAX / 2)]);
        drop(second);
        assert!(places.lock().by_account.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_call_stops_none_of_its_account() {
        let places = Places::with_max(1);
        drop(places.enter(QUIET).await);
        let long = places.enter(LOUD).await;
        for _ in 0..3 {
            drop(places.enter(QUIET).await);
            let (place, waited) = wait(&places, LOUD).await;
            assert_eq!(waited, WAIT_TIME_MAX);
            drop(place);
        }
        drop(places.enter(QUIET).await);
        assert!(timeout(WAIT_TIME_MAX / 2, places.enter(LOUD)).await.is_err());
        assert_eq!(places.lock().by_account[&LOUD].calls, 1, "who went away while waiting is gone");
        drop(long);
        assert!(places.lock().by_account.is_empty());
    }
}
