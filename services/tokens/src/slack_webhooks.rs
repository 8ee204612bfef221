//! Slack webhooks: where messages for an account go.
//!
//! The address of a webhook is a secret, since whoever has it may post: it is sealed, and shown in part.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_fetch::Request;
use portolan_ids::{AccountId, UserId, WebhookId};
use portolan_outbox::{
    Change,
    notice::{self, Notice},
};
use portolan_runtime::{digest, now_s};
use serde_json::json;

use crate::{
    Deps,
    model::slack_webhooks::Address,
    peers,
    store::{sequences, slack_webhooks as table},
};

pub use crate::model::slack_webhooks::SlackWebhook;

const PER_ACCOUNT_MAX: i64 = 20;
const DEFAULT_NAME: &str = "Slack";
const NAME_CHARS_MAX: usize = 100;
const URL_BYTES_MAX: usize = 1000;
const TEXT_CHARS_MAX: usize = 3000;
const SHOWN_END_CHARS: usize = 4;
/// What a webhook answers is of no interest.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Whoever sends the message waits for all webhooks, which are asked at once.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// A message is not repeated later than this.
const REMEMBERED_S: i64 = 7 * 24 * 3600;

/// # Errors
/// `SLACK_WEBHOOK_INVALID`; `SLACK_WEBHOOK_REFUSED` for one that is there, or one too many.
pub async fn create(deps: &Deps, caller: &Caller, url: &str, name: Option<&str>) -> Result<SlackWebhook> {
    let url = url.trim();
    let is_taken = deps.rules.slack_urls.iter().any(|prefix| url.starts_with(prefix.as_str()));
    let parsed = reqwest::Url::parse(url).ok().filter(|_| is_taken && url.len() <= URL_BYTES_MAX);
    let host = parsed.as_ref().and_then(|url| url.host_str()).ok_or(Reason::SlackWebhookInvalid)?;
    let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(DEFAULT_NAME);
    let end: String = url.chars().skip(url.chars().count().saturating_sub(SHOWN_END_CHARS)).collect();
    let username = peers::login(&deps.peers, caller.account_id, caller.user_id).await?;

    let mut tx = deps.db.begin().await?;
    let webhook = SlackWebhook {
        id: sequences::next_key_id(&mut tx).await?,
        account_id: caller.account_id,
        user_id: caller.user_id,
        username,
        name: name.chars().take(NAME_CHARS_MAX).collect(),
        shown: format!("https://{host}/*********{end}"),
        created_at: now_s(),
    };
    let refused = |detail: String| Error::new(Reason::SlackWebhookRefused).with("detail", detail);
    if table::count(&mut tx, caller.account_id).await? >= PER_ACCOUNT_MAX {
        return Err(refused(format!("An account has at most {PER_ACCOUNT_MAX} Slack webhooks")));
    }
    if !table::insert(&mut tx, &webhook, url, &digest(url), &deps.secrets).await? {
        return Err(refused("The account has this Slack webhook already".to_owned()));
    }
    let change = Change::of("slackWebhook", webhook.id).after(&json!({ "name": webhook.name }));
    portolan_outbox::audit(&mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(webhook)
}

/// The caller's webhooks in the current account, the oldest first.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<SlackWebhook>> {
    table::list(&deps.db, caller.account_id, caller.user_id).await
}

/// Deletes one of the caller's webhooks; answers false when the caller owns none with this id.
pub async fn delete(deps: &Deps, caller: &Caller, id: WebhookId) -> Result<bool> {
    let mut tx = deps.db.begin().await?;
    if !table::delete(&mut tx, caller.account_id, caller.user_id, id).await? {
        return Ok(false);
    }
    portolan_outbox::audit(&mut tx, caller, Change::of("slackWebhook", id)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Posts to every webhook of an account as much of a notice as the webhook's owner may read, unless it has had the
/// message; returns how many took it. Without an id it is posted to all. A process that dies between a webhook's answer
/// and the note of it posts once more.
pub async fn notify(deps: &Deps, notice: &Notice, message_id: &str) -> Result<i32> {
    let account_id = notice.account_id;
    let done = table::posted(&deps.db, account_id.into(), message_id).await?;
    let mut due = table::addresses(&deps.db, &deps.secrets, account_id.into()).await?;
    due.retain(|address| !done.contains(&address.id));
    let mut texts: HashMap<UserId, Option<String>> = HashMap::new();
    for address in &due {
        if let Entry::Vacant(place) = texts.entry(address.user_id) {
            place.insert(readable(deps, notice, address.user_id).await?);
        }
    }
    let posts = due.into_iter().filter_map(|Address { id, user_id, url }| {
        let text = texts.get(&user_id).cloned().flatten()?;
        Some(post(deps, account_id.into(), message_id, id, url, text))
    });
    let taken: Vec<bool> = futures::future::join_all(posts).await.into_iter().collect::<Result<_>>()?;
    Ok(i32::try_from(taken.into_iter().filter(|taken| *taken).count()).unwrap_or(i32::MAX))
}

/// As [`text_for`]; nothing for an owner whose rights cannot be told: their webhook silences no other.
async fn readable(deps: &Deps, notice: &Notice, user_id: UserId) -> Result<Option<String>> {
    match text_for(deps, notice, user_id).await {
        Err(error) if error.reason() != Reason::Unavailable => {
            tracing::warn!(account_id = notice.account_id, user_id = user_id.get(), %error, "a Slack webhook is silent");
            Ok(None)
        }
        outcome => outcome,
    }
}

/// What the owner of a webhook may read of a notice.
async fn text_for(deps: &Deps, notice: &Notice, user_id: UserId) -> Result<Option<String>> {
    let mut grants = notice::Grants::new();
    for scope in notice::scopes(notice) {
        let grant = peers::grant(&deps.peers, notice.account_id.into(), user_id, scope).await?;
        grants.insert(scope, Arc::new(grant));
    }
    let text = notice::text(notice, user_id, &grants).map(|text| format!("{}: {text}", notice.title));
    Ok(text.map(|text| text.chars().take(TEXT_CHARS_MAX).collect()))
}

/// Posts to one webhook and notes that it was done, whatever the answer; says whether the webhook took it.
async fn post(
    deps: &Deps,
    account_id: AccountId,
    message_id: &str,
    id: WebhookId,
    url: String,
    text: String,
) -> Result<bool> {
    let request = Request::post(url).json(&json!({ "text": text }));
    let request = request.bytes_max(ANSWER_BYTES_MAX).redirects_max(0).time_max(ANSWER_TIME_MAX);
    let taken = match deps.fetch.send(request).await {
        Ok(answer) if answer.status.is_success() => true,
        Ok(answer) => {
            tracing::warn!(
                account_id = account_id.get(),
                id = id.get(),
                status = answer.status.as_u16(),
                "a Slack webhook refused"
            );
            false
        }
        Err(error) => {
            tracing::warn!(account_id = account_id.get(), id = id.get(), %error, "a Slack webhook did not answer");
            false
        }
    };
    if !message_id.is_empty() {
        let now = now_s();
        table::note_posted(&deps.db, account_id, message_id, id, now, now - REMEMBERED_S).await?;
    }
    Ok(taken)
}
