//! Who is next at the connections of a pool.
//!
//! Those who wait are served by owner: next is the account that has had connections for the shortest time, however many
//! wait for the others, and of equals the next one in a circle. A task of the process that works for no account in
//! particular is an owner, too, and all that is of nobody is one more. What a task does for accounts is counted as theirs,
//! though they do not wait for it as themselves. Time in which nobody waited is forgotten (start-time fair queuing, Goyal
//! 1996).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portolan_ids::AccountId;
use tokio::sync::oneshot;

tokio::task_local! {
    static OWNER: Owner;
    /// Whose the time is of what a task does for several, and the part of each.
    static PAYERS: Arc<[(Owner, f64)]>;
}

/// For whom work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    Nobody,
    Task(u64),
    Account(AccountId),
}

/// Does work for an account: where connections are short, it takes turns with the work for others. What the work spawns
/// is not part of it.
pub async fn on_behalf_of<T>(account_id: AccountId, work: impl Future<Output = T>) -> T {
    OWNER.scope(Owner::Account(account_id), work).await
}

/// Does work that is of no account in particular and on which accounts wait, such as a task of the process: it takes
/// turns with each of them, and with other such work. What it does for an account alone is [`on_behalf_of`] that one.
pub async fn apart<T>(work: impl Future<Output = T>) -> T {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    OWNER.scope(Owner::Task(NEXT.fetch_add(1, Ordering::Relaxed)), work).await
}

/// Does work of a task for the accounts whose data are in it, with the bytes of each. It waits as the task does, because
/// others wait behind it; its time is counted as the accounts' by their parts, so that what they call for comes later.
pub async fn on_behalf_of_all<T>(parts: &[(AccountId, usize)], work: impl Future<Output = T>) -> T {
    let all: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    if all == 0 {
        return work.await;
    }
    let part = |(account_id, bytes): &(AccountId, usize)| (Owner::Account(*account_id), *bytes as f64 / all as f64);
    PAYERS.scope(parts.iter().map(part).collect(), work).await
}

/// Of time that accounts pay for, what counts as the task's own: without any it would come before everybody for ever.
const OWN_PART: f64 = 0.1;

/// What an owner is ahead of others at most: after a long write it waits for no more than this of each of them.
const LEAD_MAX: Duration = Duration::from_millis(100);

/// Owners of whom something is known; of more, all begin anew.
pub(crate) const OWNERS_MAX: usize = 1_000;

/// The places at the connections of one pool.
pub(crate) struct Turns(Mutex<Places>);

struct Places {
    all: usize,
    free: usize,
    /// By owner, in the order in which they came.
    waiting: BTreeMap<Owner, VecDeque<oneshot::Sender<Turn>>>,
    /// Who had the last turn.
    served: Owner,
    /// Where the clock stands that runs by what owners use: an owner's last turn began there.
    clock: Duration,
    /// Where owners who have used more than that will have their next turn.
    ahead: BTreeMap<Owner, Duration>,
}

/// A place; the next one has it when this is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    owner: Owner,
    payers: Option<Arc<[(Owner, f64)]>>,
    since: Instant,
    is_over: bool,
}

impl Turns {
    pub fn new(places: u32) -> Arc<Self> {
        let free = usize::try_from(places).unwrap_or(usize::MAX);
        let (waiting, ahead) = (BTreeMap::new(), BTreeMap::new());
        Arc::new(Self(Mutex::new(Places {
            all: free,
            free,
            waiting,
            served: Owner::Nobody,
            clock: Duration::ZERO,
            ahead,
        })))
    }

    /// Waits for a place.
    pub async fn take(self: &Arc<Self>) -> Turn {
        let owner = OWNER.try_with(|owner| *owner).unwrap_or(Owner::Nobody);
        let mut turn = self.take_as(owner).await;
        turn.payers = PAYERS.try_with(Arc::clone).ok();
        turn
    }

    async fn take_as(self: &Arc<Self>, owner: Owner) -> Turn {
        let told = {
            let mut places = self.places();
            if places.free > 0 {
                places.free -= 1;
                places.begin(owner);
                return self.turn(owner, false);
            }
            let (tell, told) = oneshot::channel();
            places.waiting.entry(owner).or_default().push_back(tell);
            told
        };
        // Whoever waits is told, since each place that ends is given to the next one.
        told.await.unwrap_or_else(|_| self.turn(owner, true))
    }

    fn turn(self: &Arc<Self>, owner: Owner, is_over: bool) -> Turn {
        Turn { turns: self.clone(), owner, payers: None, since: Instant::now(), is_over }
    }

    /// How many places there are.
    pub fn all(&self) -> usize {
        self.places().all
    }

    /// How many places somebody has.
    pub fn taken(&self) -> usize {
        let places = self.places();
        places.all - places.free
    }

    /// Whether anybody waits.
    pub fn are_awaited(&self) -> bool {
        !self.places().waiting.is_empty()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

impl Places {
    /// The next one of those who wait, and its owner; where nobody waits, the place is free.
    fn next(&mut self) -> Option<(Owner, oneshot::Sender<Turn>)> {
        let after = self.waiting.range((Excluded(self.served), Unbounded));
        let circle = after.chain(self.waiting.range(..=self.served)).map(|(owner, _)| *owner);
        let next = circle.min_by_key(|owner| self.start_of(*owner));
        let Some((owner, waiting)) = next.and_then(|owner| Some((owner, self.waiting.get_mut(&owner)?))) else {
            self.free += 1;
            if self.free == self.all {
                self.ahead.clear();
            }
            return None;
        };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&owner);
        }
        self.served = owner;
        self.begin(owner);
        Some((owner, next?))
    }

    fn start_of(&self, owner: Owner) -> Duration {
        self.ahead.get(&owner).map_or(self.clock, |ahead| self.clock.max(*ahead))
    }

    fn begin(&mut self, owner: Owner) {
        self.clock = self.start_of(owner);
    }

    /// Counts the time of a turn. The clock may have gone on meanwhile, where there are several places.
    fn end(&mut self, owner: Owner, used: Duration) {
        let ahead = (self.start_of(owner) + used).min(self.clock + LEAD_MAX);
        self.ahead.insert(owner, ahead);
        if self.ahead.len() > OWNERS_MAX {
            self.ahead.clear();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let used = self.since.elapsed();
        match &self.payers {
            None => self.turns.places().end(self.owner, used),
            Some(payers) => {
                let mut places = self.turns.places();
                places.end(self.owner, used.mul_f64(OWN_PART));
                payers.iter().for_each(|(payer, part)| places.end(*payer, used.mul_f64(*part)));
            }
        }
        loop {
            // Nobody is told under the lock.
            let next = self.turns.places().next();
            let Some((owner, next)) = next else { return };
            // Who has gone away gives the place back.
            match next.send(self.turns.turn(owner, false)) {
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
        // The first turn was nobody's, and the others of an owner come when the rest have had as much.
        assert_eq!(*order.lock().unwrap(), [1, 2, 1, 1, 1, 1]);
        assert!(!turns.are_awaited());
        drop(turns.take().await);
        assert_eq!(turns.places().free, 1);
    }

    /// A task that writes for accounts waits as itself, and they pay by their parts.
    #[tokio::test]
    async fn accounts_pay_for_what_is_done_for_them() {
        let turns = Turns::new(1);
        let parts = [(AccountId(1), 300), (AccountId(2), 100)];
        let mut turn = apart(on_behalf_of_all(&parts, turns.take())).await;
        let Owner::Task(_) = turn.owner else { panic!("{:?}", turn.owner) };
        let task = turn.owner;
        let _told = {
            let (tell, told) = oneshot::channel();
            turns.places().waiting.entry(Owner::Nobody).or_default().push_back(tell);
            told
        };
        turn.since -= Duration::from_millis(40);
        drop(turn);
        let places = turns.places();
        let used = |owner: Owner| places.ahead.get(&owner).unwrap().as_secs_f64();
        let [first, second] = [1, 2].map(|id| used(Owner::Account(AccountId(id))));
        let near = |ratio: f64, expected: f64| (ratio / expected - 1.0).abs() < 0.001;
        assert!(near(first / second, 3.0), "{:?}", places.ahead);
        assert!(near((first + second) * OWN_PART, used(task)), "{:?}", places.ahead);
    }

    /// Who comes now and then waits for the turn under way alone, however many others wait for theirs.
    #[tokio::test]
    async fn who_has_used_least_is_next() {
        let turns = Turns::new(1);
        let places = || turns.places();
        let of = |id: i64| Owner::Account(AccountId(id));
        let wait = |owner: i64| {
            let (tell, told) = oneshot::channel();
            places().waiting.entry(of(owner)).or_default().push_back(tell);
            told
        };
        let next = || places().next().unwrap().0;
        let ms = Duration::from_millis;
        let _told = [wait(1), wait(1), wait(1), wait(2), wait(2), wait(3)];
        assert_eq!(next(), of(1));
        places().end(of(1), ms(25));
        assert_eq!(next(), of(2));
        places().end(of(2), ms(10));
        assert_eq!(next(), of(3));
        places().end(of(3), ms(1));
        let _again = wait(3);
        assert_eq!(next(), of(3), "it has used less than anyone");
        places().end(of(3), ms(1));
        assert_eq!([next(), next(), next()], [of(2), of(1), of(1)]);
        let _others = [wait(1), wait(2), wait(2)];
        places().end(of(1), ms(60_000));
        assert_eq!(next(), of(2));
        places().end(of(2), LEAD_MAX + ms(1));
        assert_eq!([next(), next()], [of(1), of(2)], "one long turn is no debt for ever");
        places().all = 2;
        assert!(places().next().is_none());
        assert!(places().ahead.is_empty(), "time in which nobody waits is forgotten");
        for owner in 1..=2 * OWNERS_MAX as i64 {
            places().end(of(owner), ms(5));
        }
        assert!(places().ahead.len() <= OWNERS_MAX);
    }
}
