//! Who is next at the connections of a pool.
//!
//! Those who wait are served by owner: each account has a turn after the other, however many wait for one of them. Who
//! works for no account, such as a task of the process, belongs to one more owner.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portolan_ids::AccountId;
use tokio::sync::oneshot;

tokio::task_local! {
    static OWNER: AccountId;
}

/// The owner of work that is of no account.
const NOBODY: AccountId = AccountId(0);

/// Does work for an account: where connections are short, it takes turns with the work for others. What the work spawns
/// is not part of it.
pub async fn on_behalf_of<T>(account_id: AccountId, work: impl Future<Output = T>) -> T {
    OWNER.scope(account_id, work).await
}

/// The places at the connections of one pool.
pub(crate) struct Turns(Mutex<Places>);

struct Places {
    free: usize,
    /// By owner, in the order in which they came.
    waiting: BTreeMap<AccountId, VecDeque<oneshot::Sender<Turn>>>,
    /// Who had the last turn.
    served: AccountId,
}

/// A place; the next one has it when this is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    is_over: bool,
}

impl Turns {
    pub fn new(places: u32) -> Arc<Self> {
        let free = usize::try_from(places).unwrap_or(usize::MAX);
        Arc::new(Self(Mutex::new(Places { free, waiting: BTreeMap::new(), served: NOBODY })))
    }

    /// Waits for a place.
    pub async fn take(self: &Arc<Self>) -> Turn {
        let owner = OWNER.try_with(|owner| *owner).unwrap_or(NOBODY);
        let told = {
            let mut places = self.places();
            if places.free > 0 {
                places.free -= 1;
                return Turn { turns: self.clone(), is_over: false };
            }
            let (tell, told) = oneshot::channel();
            places.waiting.entry(owner).or_default().push_back(tell);
            told
        };
        // Whoever waits is told, since each place that ends is given to the next one.
        told.await.unwrap_or_else(|_| Turn { turns: self.clone(), is_over: true })
    }

    /// Whether anybody waits.
    pub fn are_awaited(&self) -> bool {
        !self.places().waiting.is_empty()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The next one in the circle of owners; where nobody waits, the place is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut after = self.waiting.range((Excluded(self.served), Unbounded));
        let next = after.next().or_else(|| self.waiting.first_key_value()).map(|(owner, _)| *owner);
        let Some((owner, waiting)) = next.and_then(|owner| Some((owner, self.waiting.get_mut(&owner)?))) else {
            self.free += 1;
            return None;
        };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&owner);
        }
        self.served = owner;
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        loop {
            // Nobody is told under the lock.
            let next = self.turns.places().next();
            let Some(next) = next else { return };
            // Who has gone away gives the place back.
            match next.send(Self { turns: self.turns.clone(), is_over: false }) {
                Ok(()) => return,
                Err(mut back) => back.is_over = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waits alone comes after one of those who are many, and who goes away is passed over.
    #[tokio::test]
    async fn owners_take_turns() {
        let turns = Turns::new(1);
        let first = turns.take().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for owner in [1, 1, 1, 1, 2, 3, 1] {
            let (turns, order) = (turns.clone(), order.clone());
            waiting.push(tokio::spawn(on_behalf_of(AccountId(owner), async move {
                let _turn = turns.take().await;
                order.lock().unwrap().push(owner);
            })));
            tokio::task::yield_now().await;
        }
        waiting.remove(5).abort();
        tokio::task::yield_now().await;
        drop(first);
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 1, 1, 1, 1]);
        assert!(!turns.are_awaited());
        drop(turns.take().await);
        assert_eq!(turns.places().free, 1);
    }
}
