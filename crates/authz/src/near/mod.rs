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
mod copies;
mod kept;
pub mod rule;
mod settle;
mod shelf;
mod times;

pub(crate) use self::checked::NearCredentials;
pub use self::{
    copies::Near,
    kept::Kept,
    settle::{Ended, settled},
    times::{NEAR, SETTLE},
};
