//! Records that were set aside, for those who may see and repeat them.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_log::{Accounts, Log, Positions, Rejected, RejectedPlace};
use portolan_outbox::Change;
use serde_json::json;

use crate::{Deps, Error};

/// Records of one page, where the request names no number.
const PAGE_DEFAULT: u32 = 50;

/// Records of one page at most.
const PAGE_MAX: u32 = 100;

/// A page of the records that the caller may see, and where the next one begins.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`.
pub async fn list(
    deps: &Deps,
    caller: &Caller,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<Rejected>, String), Error> {
    let limit = u32::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let before = match page_token {
        "" => None,
        token => Some(place(token).ok_or(Reason::PageTokenInvalid)?),
    };
    let records = deps.log.rejected(accounts(caller), before, limit).await?;
    let is_last = u32::try_from(records.len()).is_ok_and(|count| count < limit);
    let next = records.last().filter(|_| !is_last).map(|last| {
        let RejectedPlace { created_at, partition, offset } = last.place();
        format!("{created_at}.{partition}.{offset}")
    });
    Ok((records, next.unwrap_or_default()))
}

/// Appends a record to the log once more; returns where it stands.
///
/// # Errors
/// `REJECTED_RECORD_NOT_FOUND`, `REJECTED_RECORD_UNREADABLE`.
pub async fn replay(deps: &Deps, caller: &Caller, partition: i64, offset: i64) -> Result<(i64, i64), Error> {
    let accounts = accounts(caller);
    let is_shown = |record: &Rejected| match (accounts, record.account_id) {
        (Accounts::All, _) => true,
        (Accounts::Of { account_id, .. }, Some(named)) => account_id == named,
        (Accounts::Of { unknown, .. }, None) => unknown,
    };
    let found = deps.log.find_rejected(partition, offset).await?.filter(is_shown);
    let place = append(&deps.log, found, partition, offset).await?;
    let mut tx = deps.db.begin().await?;
    let change = Change::of("rejectedRecord", format!("{partition}/{offset}"));
    let change = change.after(&json!({ "partition": place.0, "offset": place.1 }));
    portolan_outbox::audit(&mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(place)
}

/// As [`replay`], for an operator, whose records are those of every account.
///
/// # Errors
/// As of [`replay`].
pub async fn replay_any(log: &Log, partition: i64, offset: i64) -> Result<(i64, i64), Error> {
    append(log, log.find_rejected(partition, offset).await?, partition, offset).await
}

async fn append(log: &Log, found: Option<Rejected>, partition: i64, offset: i64) -> Result<(i64, i64), Error> {
    let refused = |reason: Reason| portolan_api::Error::new(reason).with("partition", partition).with("offset", offset);
    let record = found.ok_or_else(|| refused(Reason::RejectedRecordNotFound))?;
    if record.value.is_empty() {
        return Err(refused(Reason::RejectedRecordUnreadable).into());
    }
    let positions: Positions = log.replay(&record).await?;
    let place = positions.into_iter().next().map(|(partition, next)| (partition, next - 1));
    place.ok_or_else(|| Error::Internal("an append of one record has no place".to_owned()))
}

/// Whose records the caller sees.
fn accounts(caller: &Caller) -> Accounts {
    Accounts::Of { account_id: caller.account_id, unknown: caller.grant.administers_organization() }
}

fn place(token: &str) -> Option<RejectedPlace> {
    let mut parts = token.splitn(3, '.').map(|part| part.parse().ok());
    Some(RejectedPlace { created_at: parts.next()??, partition: parts.next()??, offset: parts.next()?? })
}
