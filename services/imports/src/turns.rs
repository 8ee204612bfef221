//! Turns to convert in memory, which takes a core and, of a large document, some hundred MiB: a few at once, of large ones
//! one, and one of an account, so that nobody's documents keep others waiting for longer than one of them takes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_ids::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Accounts remembered; beyond this those that do nothing are forgotten.
const ACCOUNTS_MAX: usize = 1_000;

/// A text of at most so many bytes is small: it takes some ten times as much while it is converted.
pub const SMALL_BYTES: usize = 4 << 20;

/// Turns of one kind of work; cheap to clone.
#[derive(Clone)]
pub struct Turns {
    places: Arc<Semaphore>,
    large: Arc<Semaphore>,
    accounts: Arc<Mutex<HashMap<AccountId, Arc<Semaphore>>>>,
}

/// A turn; it ends when it is dropped.
pub struct Turn {
    _place: Option<OwnedSemaphorePermit>,
    _large: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub fn new(places: usize) -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Self { places: of(places), large: of(1), accounts: Arc::default() }
    }

    /// Waits for the turn of an account, for a text of so many bytes. The semaphores are never closed.
    pub async fn take(&self, account_id: AccountId, bytes: usize) -> Turn {
        let own = self.own(account_id).acquire_owned().await.ok();
        // A large one that waits for others of its size takes no place of small ones.
        let large = if bytes > SMALL_BYTES { self.large.clone().acquire_owned().await.ok() } else { None };
        Turn { _place: self.places.clone().acquire_owned().await.ok(), _large: large, _own: own }
    }

    fn own(&self, account_id: AccountId) -> Arc<Semaphore> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.retain(|_, own| Arc::strong_count(own) > 1);
        }
        accounts.entry(account_id).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_has_one_turn_at_a_time_and_leaves_the_others_theirs() {
        let turns = Turns::new(2);
        let first = turns.take(AccountId(1), 1).await;
        let mut second = Box::pin(turns.take(AccountId(1), 1));
        assert!(futures::poll!(&mut second).is_pending());
        let other = turns.take(AccountId(2), 1).await;
        assert!(futures::poll!(Box::pin(turns.take(AccountId(3), 1))).is_pending(), "there are two places");
        drop(first);
        let second = second.await;
        drop((other, second));
        turns.take(AccountId(3), 1).await;
        for account_id in 0..2 * i64::try_from(ACCOUNTS_MAX).unwrap() {
            turns.take(AccountId(account_id), 1).await;
        }
        assert!(turns.accounts.lock().unwrap().len() <= ACCOUNTS_MAX);
    }

    #[tokio::test]
    async fn large_texts_have_one_turn_and_leave_small_ones_theirs() {
        let turns = Turns::new(2);
        let first = turns.take(AccountId(1), SMALL_BYTES + 1).await;
        let mut second = Box::pin(turns.take(AccountId(2), SMALL_BYTES + 1));
        assert!(futures::poll!(&mut second).is_pending());
        for account_id in 3..6 {
            turns.take(AccountId(account_id), SMALL_BYTES).await;
        }
        drop(first);
        second.await;
    }
}
