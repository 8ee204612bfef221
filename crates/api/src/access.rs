//! What is told of requests: one line for some or all of them, and one a second for each kind of refusal.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{Seldom, common::v1::Reason};

/// Requests that last longer are told, whatever the sample.
const SLOW_S: f64 = 1.0;

/// Of so many requests one is told; 1 tells all, 0 none.
static EVERY: AtomicU32 = AtomicU32::new(0);
static SEEN: AtomicU64 = AtomicU64::new(0);
static REFUSALS: Seldom = Seldom::new();

/// A request that was answered. Nothing of it is a secret, and nothing is what the caller wrote but the id.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// 0 when nobody is known.
    pub account_id: i64,
    /// Empty when nobody is known.
    pub credential_id: &'a str,
    /// As in the contract: a pattern of paths, or an RPC.
    pub route: &'a str,
    /// HTTP status or gRPC code.
    pub status: &'a str,
    /// Of a refusal.
    pub reason: Option<Reason>,
    /// Whether it failed by a fault of ours.
    pub failed: bool,
    /// From the arrival of the request to the end of its answer.
    pub seconds: f64,
    /// As in the header `x-request-id`.
    pub request_id: &'a str,
}

/// Sets of how many requests one is told.
pub fn tell_every(requests: u32) {
    EVERY.store(requests, Ordering::Relaxed);
}

/// Tells of a request what the settings say. Requests that failed or were slow are told in any sample.
pub fn tell(request: &Request<'_>) {
    let Request { account_id, credential_id, route, status, reason, seconds, request_id, failed } = *request;
    let duration_ms = (seconds * 1e6).round() / 1e3;
    let every = EVERY.load(Ordering::Relaxed);
    let is_sampled = every > 0 && SEEN.fetch_add(1, Ordering::Relaxed).is_multiple_of(u64::from(every));
    if is_sampled || (every > 0 && (failed || seconds > SLOW_S)) {
        tracing::info!(target: "access", account_id, credential_id, route, status, duration_ms, request_id, "request");
    }
    if let Some(reason) = reason.filter(|_| !failed)
        && let Some(kept_back) = REFUSALS.admits(&format!("{} {route}", reason.as_str_name()))
    {
        let reason = reason.as_str_name();
        tracing::info!(account_id, credential_id, route, status, reason, request_id, kept_back, "refused");
    }
}
