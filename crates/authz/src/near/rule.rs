//! When a copy may serve and how long a change waits, as pure code in any unit of time: it is what [`super::Near`] runs
//! and what the model checker checks.

/// By how much the clocks of two machines may differ in rate, in percent.
pub const RATE_ERROR_PERCENT: u64 = 5;

/// Whether a copy may serve: its age counts from the moment at which its strict read began.
pub fn may_serve(began: u64, now: u64, near: u64) -> bool {
    now.saturating_sub(began) < near
}

/// Whether what a read found may serve a request that waited for it: as a copy may, and when the read began after the
/// request did, which could have made it itself.
pub fn may_share(began: u64, arrived: u64, now: u64, near: u64) -> bool {
    began >= arrived || may_serve(began, now, near)
}

/// How long after its end by the strict protocol a change is answered: every copy from before the end has ended then, by
/// the slowest clock.
pub const fn settled_after(near: u64) -> u64 {
    near + (near * RATE_ERROR_PERCENT).div_ceil(100)
}
