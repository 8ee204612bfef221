//! Push messages to the browsers of an account's users.
//!
//! # Invariants
//! - A message that was queued is tried until the push service takes it, refuses the device for good, or the last
//!   attempt failed; a crash repeats at most the attempt under way.
//! - Accounts take turns: whatever one account's devices do, a message of another waits for one round of attempts.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::UserId;
use portolan_outbox::notice::{self, Notice};
use portolan_runtime::now_s;
use serde_json::json;

use crate::{
    Deps, grants,
    history::{self, Change},
    model::push::{Device, Due},
    store,
    web_push::{auth_secret, public_key},
};

/// Devices of one user in one account; an older one goes when there are more.
const DEVICES_MAX: i64 = 20;
const ENDPOINT_BYTES_MAX: usize = 2_000;
const TITLE_CHARS_MAX: usize = 200;
const BODY_CHARS_MAX: usize = 1_000;
/// A message is tried this often, over about four hours.
const ATTEMPTS_MAX: i64 = 8;
const BACKOFF_S: i64 = 60;
/// A message that was taken is remembered for a day, so that queueing it again changes nothing.
const REMEMBERED_S: i64 = 24 * 60 * 60;
/// Attempts that stand for a message that was taken.
const TAKEN: i64 = 1_000;
/// An attempt is over after this, whatever happens to its process.
const LEASE_S: i64 = 60;
const BATCH: i64 = 20;
const IDLE: Duration = Duration::from_secs(1);
/// Remembers a browser of the caller.
///
/// # Errors
/// `SUBSCRIPTION_INVALID`.
pub async fn subscribe(deps: &Deps, caller: &Caller, endpoint: &str, p256dh: &str, auth: &str) -> Result<()> {
    let invalid = || Error::new(Reason::SubscriptionInvalid);
    let scheme_ok = endpoint.starts_with("https://") || (deps.push.allow_http && endpoint.starts_with("http://"));
    if !scheme_ok || endpoint.len() > ENDPOINT_BYTES_MAX || public_key(p256dh).is_none() || auth_secret(auth).is_none()
    {
        return Err(invalid());
    }
    deps.push.fetch.check(endpoint).map_err(|_| invalid())?;
    let device = Device {
        endpoint_digest: portolan_runtime::digest(endpoint),
        endpoint: endpoint.to_owned(),
        p256dh: p256dh.to_owned(),
        auth: auth.to_owned(),
    };
    let mut tx = deps.db.begin().await?;
    store::upsert_device(&mut tx, caller.account_id, caller.user_id, &device, now_s()).await?;
    store::delete_old_devices(&mut tx, caller.account_id, caller.user_id, DEVICES_MAX).await?;
    let change = Change::of("push_device", &device.endpoint_digest[..16]).by("push.subscribe");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    Ok(tx.commit().await?)
}

/// Queues a message for every device whose user may read any of the notice, with what they may read; returns for how
/// many. A message of an id is sent once.
pub async fn notify(deps: &Deps, notice: &Notice, message_id: &str) -> Result<i64> {
    let account_id = notice.account_id;
    let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let scopes = notice::scopes(notice);
    let mut bodies: Vec<(UserId, String)> = Vec::new();
    for user_id in store::users_with_devices(&deps.db, account_id.into()).await? {
        let mut grants = notice::Grants::new();
        for scope in &scopes {
            grants.insert(*scope, grants::get(deps, account_id.into(), user_id, *scope).await?);
        }
        bodies.extend(notice::text(notice, user_id, &grants).map(|body| (user_id, body)));
    }
    let id = if message_id.is_empty() { uuid::Uuid::now_v7().to_string() } else { message_id.to_owned() };
    let mut tx = deps.db.begin().await?;
    let mut queued = 0;
    for (user_id, body) in bodies {
        let payload = json!({
            "title": cut(&notice.title, TITLE_CHARS_MAX),
            "body": cut(&body, BODY_CHARS_MAX),
            "url": cut(&notice.url, ENDPOINT_BYTES_MAX / 2),
        });
        let payload = payload.to_string();
        queued += store::insert_messages(&mut tx, account_id.into(), user_id, &id, &payload, now_s()).await?;
    }
    tx.commit().await?;
    Ok(queued)
}

/// Sends what is due, until it is cut off, which is safe at every step.
pub(crate) async fn deliver(deps: &Deps) {
    loop {
        match deliver_due(deps).await {
            Ok(0) => tokio::time::sleep(IDLE).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "push messages could not be read");
                tokio::time::sleep(IDLE * 10).await;
            }
        }
    }
}

async fn deliver_due(deps: &Deps) -> Result<usize> {
    let now = now_s();
    let due = store::lease_messages(&deps.db, now, now + LEASE_S, BATCH).await?;
    let attempts = due.iter().map(|due| AssertUnwindSafe(deliver_one(deps, due)).catch_unwind());
    for outcome in futures::future::join_all(attempts).await {
        // Its lease ends, and the next attempt is counted as any other.
        outcome.unwrap_or_else(|_| {
            tracing::error!("an attempt at a push message panicked");
            Ok(())
        })?;
    }
    Ok(due.len())
}

async fn deliver_one(deps: &Deps, due: &Due) -> Result<()> {
    if due.attempts > ATTEMPTS_MAX {
        return store::delete_message(&deps.db, due).await;
    }
    let Some(device) = store::find_device(&deps.db, due).await? else {
        return store::delete_message(&deps.db, due).await;
    };
    match deps.push.send(&device, &due.payload).await {
        Ok(true) => store::delay_message(&deps.db, due, now_s() + REMEMBERED_S, TAKEN).await,
        Ok(false) => {
            let mut tx = deps.db.begin().await?;
            store::delete_device(&mut tx, due).await?;
            Ok(tx.commit().await?)
        }
        Err(error) => {
            tracing::info!(%error, attempts = due.attempts, "a push message was not taken");
            let wait_s = BACKOFF_S << (due.attempts - 1).clamp(0, 7);
            store::delay_message(&deps.db, due, now_s() + wait_s, due.attempts).await
        }
    }
}
