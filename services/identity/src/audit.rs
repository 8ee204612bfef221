//! The audit: a chain of events for each account, in which no event can be changed, removed or put in between without
//! being noticed.

use std::collections::BTreeMap;

use portolan_api::{Error, Reason, Result};
use portolan_store::{Db, Tx};

use crate::{
    model::{
        audit::{Event, Head, Link},
        users::login_key,
    },
    store::{audit as store, find_user_by_login},
};

/// Events of one call of [`record`].
pub const EVENTS_MAX: usize = 500;
/// Appends events to the chains of their accounts, in the transaction of the change that they tell of. Events that are
/// there already change nothing. Answers how many were new.
///
/// # Errors
/// Any of the store.
pub async fn append(tx: &mut Tx, events: impl IntoIterator<Item = Event>) -> Result<i64> {
    // In one order everywhere, so that two transactions never wait for each other.
    let mut by_account = BTreeMap::<i64, Vec<Event>>::new();
    for event in events {
        by_account.entry(event.account_id).or_default().push(event);
    }
    let mut appended = 0;
    for (account_id, events) in by_account {
        let mut head = store::lock_head(tx, account_id).await?;
        let before = head.seq;
        for event in events {
            if !store::exists(tx, account_id, &event.event_id).await? {
                let link = head.link(event);
                store::insert(tx, &link).await?;
            }
        }
        if head.seq > before {
            store::move_head(tx, account_id, head).await?;
            appended += head.seq - before;
        }
    }
    Ok(appended)
}

/// Appends events that other services tell.
///
/// # Errors
/// Any of the store; `INTERNAL` for more than [`EVENTS_MAX`].
pub async fn record(db: &Db, events: Vec<Event>) -> Result<i64> {
    if events.len() > EVENTS_MAX {
        return Err(Error::internal(format!("{} audit events at once", events.len())));
    }
    let mut tx = db.begin().await?;
    let appended = append(&mut tx, events).await?;
    tx.commit().await?;
    Ok(appended)
}

/// Page size when none is asked for, and the largest.
const PAGE_SIZE_DEFAULT: i64 = 50;
const PAGE_SIZE_MAX: i64 = 1_000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Id or address of a user; empty for everybody.
    pub actor: String,
    /// Empty for every action.
    pub action: String,
    /// Unix seconds; the first that counts, and the first that does not.
    pub start_s: Option<i64>,
    pub end_s: Option<i64>,
}

/// A page of the account's events, the newest first, with the token of the next page; empty at the end.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`, `AUDIT_FILTER_INVALID`.
pub async fn list(
    db: &Db,
    account_id: i64,
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
            Ok(user_id) => Some(user_id),
            // A name that is nobody's did nothing.
            Err(_) => Some(find_user_by_login(db, &login_key(actor)).await?.map_or(-1, |user| user.id)),
        },
    };
    let milliseconds = |seconds: Option<i64>, otherwise| seconds.map_or(otherwise, |s| s.saturating_mul(1_000));
    let range = (milliseconds(filter.start_s, 0), milliseconds(filter.end_s, i64::MAX));
    let mut links = store::list(db, account_id, user_id, &filter.action, range, below, size + 1).await?;
    let more = links.len() as i64 > size;
    if more {
        links.pop();
    }
    let next = links.last().filter(|_| more).map(|link| link.seq.to_string());
    Ok((links, next.unwrap_or_default()))
}

/// What a check of a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every link holds.
    Whole { events: i64 },
    /// The first link that does not hold.
    Broken { seq: i64, reason: &'static str },
}

/// Checks the chain of an account from its first event to its head.
///
/// # Errors
/// Any of the store.
pub async fn verify(db: &Db, account_id: i64) -> Result<Verdict> {
    const PAGE: i64 = 500;
    let end = store::head(db, account_id).await?;
    let mut head = Head::default();
    loop {
        let page = store::after(db, account_id, head.seq, PAGE).await?;
        for found in &page {
            let seq = head.seq + 1;
            if found.seq != seq {
                return Ok(Verdict::Broken { seq, reason: "an event is missing" });
            }
            if head.link(found.event.clone()).hash != found.hash || found.event.account_id != account_id {
                return Ok(Verdict::Broken { seq, reason: "an event was changed" });
            }
            // Events appended since the head was read are not part of this check.
            if seq == end.seq && found.hash != end.hash {
                return Ok(Verdict::Broken { seq, reason: "the chain does not end at its head" });
            }
        }
        if page.is_empty() {
            break;
        }
    }
    if head.seq < end.seq {
        return Ok(Verdict::Broken { seq: head.seq + 1, reason: "the last events are missing" });
    }
    // Events and head are written together: a head that stays behind was moved or removed.
    if head.seq > end.seq && store::head(db, account_id).await?.seq < head.seq {
        return Ok(Verdict::Broken { seq: head.seq, reason: "the chain does not end at its head" });
    }
    Ok(Verdict::Whole { events: head.seq })
}

/// The accounts that have a chain; 0 holds what belongs to no account.
pub async fn accounts(db: &Db) -> Result<Vec<i64>> {
    store::accounts(db).await
}
