//! What calls take of a process, by REST and gRPC alike: the memory of their bodies, a share of it for each owner, and
//! places at work.
//!
//! An owner is the account of a credential, or the address of a client without one. What a body holds counts from its
//! arrival to the answer. Small bodies count for nobody: connections are bounded, and so is what they hold together.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use portolan_api::{Error, Reason};
use portolan_ids::AccountId;

use crate::{
    Config,
    error::BoxError,
    options::HttpOptions,
    places::{Place, Places},
};

/// Bodies up to this are read whatever is under way.
const FREE_BYTES: usize = 16 * 1024;
/// When to come back: a body is read and answered in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Calls under way in this process; cheap to clone.
#[derive(Clone)]
pub struct CallBudget(Arc<Shared>);

struct Shared {
    bytes_max: usize,
    share: usize,
    held: Mutex<Held>,
    places: Arc<Places>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    by_owner: HashMap<Owner, usize>,
}

/// Who is charged for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The account of a credential.
    Account(AccountId),
    /// The address of a client without one.
    Address(IpAddr),
}

/// What one call holds of the budget; it is given back at the end.
pub struct Hold {
    budget: CallBudget,
    owner: Owner,
    /// Of the body, with those that do not count.
    read: usize,
    counted: usize,
    place: Option<Place>,
}

fn count_refused(reason: Reason, count: u64) {
    metrics::counter!("portolan_bodies_refused_total", "reason" => reason.as_str_name()).increment(count);
}

impl CallBudget {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let HttpOptions { bodies_bytes_max, bodies_bytes_share, .. } = config.shared.http;
        if bodies_bytes_share > bodies_bytes_max {
            return Err("http.bodies_bytes_share: it is more than http.bodies_bytes_max".into());
        }
        Ok(Self::new(bodies_bytes_max, bodies_bytes_share))
    }

    /// At most `bytes_max` bytes of bodies in all, and `share` for each account or anonymous address.
    pub fn new(bytes_max: usize, share: usize) -> Self {
        // From zero on, so that the first refusal is an increase.
        for reason in [Reason::BodiesShareExceeded, Reason::BodiesBudgetExceeded] {
            count_refused(reason, 0);
        }
        Self(Arc::new(Shared { bytes_max, share, held: Mutex::default(), places: Places::bounded() }))
    }

    /// Nothing yet, for a call of this owner.
    pub fn hold(&self, owner: Owner) -> Hold {
        Hold { budget: self.clone(), owner, read: 0, counted: 0, place: None }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Counts bytes that arrived.
    ///
    /// # Errors
    /// `BODIES_SHARE_EXCEEDED`, `BODIES_BUDGET_EXCEEDED`.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.read += bytes;
        if self.read <= FREE_BYTES {
            return Ok(());
        }
        let more = self.read - self.counted;
        let Shared { bytes_max, share, .. } = *self.budget.0;
        let mut held = self.budget.lock();
        let own = held.by_owner.get(&self.owner).copied().unwrap_or_default();
        let refused = |reason: Reason, limit: usize| {
            count_refused(reason, 1);
            Err(Error::new(reason).with("limit", limit).with("retry_after_seconds", RETRY_AFTER_SECONDS))
        };
        if own + more > share {
            return refused(Reason::BodiesShareExceeded, share);
        }
        if held.bytes + more > bytes_max {
            return refused(Reason::BodiesBudgetExceeded, bytes_max);
        }
        held.bytes += more;
        held.by_owner.insert(self.owner, own + more);
        self.counted += more;
        metrics::gauge!("portolan_bodies_bytes").set(u32::try_from(held.bytes).unwrap_or(u32::MAX));
        Ok(())
    }
}

impl Hold {
    /// Waits for a place at work, which is held to the end: half of the cores are for the calls of one account while
    /// others call, and none waits for more than 100 ms. What comes without a credential is small, and its number limited.
    pub async fn enter(&mut self) {
        if let Owner::Account(account) = self.owner {
            self.place = Some(self.budget.0.places.enter(account).await);
        }
    }

    /// Gives back the memory that is held; the next bytes are those of another message.
    pub fn release(&mut self) {
        self.read = 0;
        let counted = std::mem::take(&mut self.counted);
        if counted == 0 {
            return;
        }
        let mut held = self.budget.lock();
        held.bytes -= counted;
        if let Some(own) = held.by_owner.get_mut(&self.owner) {
            *own -= counted;
            if *own == 0 {
                held.by_owner.remove(&self.owner);
            }
        }
        metrics::gauge!("portolan_bodies_bytes").set(u32::try_from(held.bytes).unwrap_or(u32::MAX));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_share_bounds_its_owner_alone_and_comes_back() {
        let budget = CallBudget::new(3 * MIB, 2 * MIB);
        let hold = |id| budget.hold(Owner::Account(AccountId(id)));
        let (mut first, mut second, mut other) = (hold(1), hold(1), hold(2));
        first.grow(MIB).unwrap();
        second.grow(MIB / 2).unwrap();
        assert_eq!(second.grow(MIB).unwrap_err().reason(), Reason::BodiesShareExceeded);
        hold(1).grow(FREE_BYTES).unwrap();
        other.grow(MIB).unwrap();
        let refused = hold(3).grow(MIB).unwrap_err();
        assert_eq!((refused.reason(), refused.metadata()["limit"].as_str()), (Reason::BodiesBudgetExceeded, "3145728"));
        hold(3).grow(FREE_BYTES).unwrap();
        drop((first, second, other));
        let (bytes, owners) = {
            let held = budget.lock();
            (held.bytes, held.by_owner.len())
        };
        assert_eq!((bytes, owners), (0, 0));
        hold(3).grow(2 * MIB).unwrap();
    }
}
