//! The audit: a chain of events for each account, in which no event can be changed, removed or put in between without
//! being noticed.
//!
//! # Invariants
//! - Events and heads are under keys that are not in the database in clear. Who writes rows can go back to what was there
//!   before and nothing else; heads that were signed and kept elsewhere show that too.
//! - A head that others have changed is never sealed or signed again.
//! - The registry, a chain itself, names every chain.

mod chain;
mod file;
mod heads;
mod keys;
mod receiver;
mod retention;
mod verify;

use portolan_api::{Error, Reason, Result};
use portolan_ids::{AccountId, UserId};
use portolan_outbox::AUTHENTICATION;
use portolan_store::Db;

pub use self::{
    chain::{append, open},
    file::{FileVerdict, WholeFile, verify_file, verify_files},
    heads::{sign_moved, signed},
    keys::AuditKeys,
    receiver::HeadReceiver,
    retention::{Exported, export, kept_from_ms, month_start_ms},
    verify::{Fault, Verdict, verify, verify_all},
};
pub use crate::model::{
    audit::REGISTRY,
    audit_head::{SignedHead, Unreadable},
};
use crate::{
    model::{
        audit::{Event, Link},
        users::login_key,
    },
    store::{audit as store, find_user_by_login},
};

/// Events of one call of [`record`].
pub const EVENTS_MAX: usize = 500;
/// Appends events that other services tell.
///
/// # Errors
/// Any of the store; `INTERNAL` for more than [`EVENTS_MAX`].
pub async fn record(db: &Db, keys: &AuditKeys, events: Vec<Event>) -> Result<i64> {
    if events.len() > EVENTS_MAX {
        return Err(Error::internal(format!("{} audit events at once", events.len())));
    }
    let mut tx = db.begin().await?;
    let events = events.into_iter().map(|event| received(keys, event));
    let appended = append(keys, &mut tx, events).await?;
    tx.commit().await?;
    Ok(appended)
}

/// Characters of the digest of what was shown.
const SUBJECT_CHARS: usize = 16;

/// An event as it is kept. Of a credential that was refused the digest is made anew under the key, so that nobody who
/// reads the audit can try guesses against it.
fn received(keys: &AuditKeys, mut event: Event) -> Event {
    if event.action == AUTHENTICATION && !event.credential_id.is_empty() {
        event.credential_id = keys.current().mac("audit subject", &[], &[&event.credential_id]);
        event.credential_id.truncate(SUBJECT_CHARS);
    }
    event
}

/// Page size when none is asked for, and the largest.
const PAGE_SIZE_DEFAULT: i64 = 50;
const PAGE_SIZE_MAX: i64 = 1_000;
/// Text of one page, which fits a message of gRPC; a page of longer events ends earlier.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Id or address of a user; empty for everybody.
    pub actor: String,
    /// Empty for every action.
    pub action: String,
    /// Unix seconds; the first that counts, and the first that does not.
    pub start_s: Option<i64>,
    /// Unix seconds before which events happened.
    pub end_s: Option<i64>,
}

/// A page of the account's events, the newest first, with the token of the next page; empty at the end.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`, `AUDIT_FILTER_INVALID`.
pub async fn list(
    db: &Db,
    account_id: AccountId,
    filter: &Filter,
    page_size: Option<i64>,
    page_token: &str,
) -> Result<(Vec<Link>, String)> {
    let invalid = |member: &str, detail: &str| {
        Error::new(Reason::AuditFilterInvalid).with("member", member).with("detail", detail)
    };
    let size = page_size.unwrap_or(PAGE_SIZE_DEFAULT);
    if !(1..=PAGE_SIZE_MAX).contains(&size) {
        return Err(invalid("pageSize", "must be between 1 and 1000"));
    }
    let below = match page_token {
        "" => i64::MAX,
        token => token.parse().ok().filter(|below| *below > 0).ok_or(Reason::PageTokenInvalid)?,
    };
    let user_id = match filter.actor.trim() {
        "" => None,
        actor => match actor.parse() {
            Ok(user_id) => Some(UserId(user_id)),
            // A name that is nobody's did nothing.
            Err(_) => Some(find_user_by_login(db, &login_key(actor)).await?.map_or(UserId(-1), |user| user.id)),
        },
    };
    let milliseconds = |seconds: Option<i64>, otherwise| seconds.map_or(otherwise, |s| s.saturating_mul(1_000));
    let range = (milliseconds(filter.start_s, 0), milliseconds(filter.end_s, i64::MAX));
    let mut links = store::list(db, account_id, user_id, &filter.action, range, below, size + 1).await?;
    let mut bytes = 0;
    let fitting = links.iter().take_while(|link| {
        bytes += link.event.text_bytes();
        bytes <= PAGE_BYTES_MAX
    });
    let fitting = fitting.count().clamp(1, usize::try_from(size).unwrap_or(1));
    let more = links.len() > fitting;
    links.truncate(fitting);
    let next = links.last().filter(|_| more).map(|link| link.seq.to_string());
    Ok((links, next.unwrap_or_default()))
}
