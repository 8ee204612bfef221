use std::collections::HashSet;

use portolan_api::Result;
use portolan_ids::{AccountId, UserId, WebhookId};
use portolan_runtime::Secrets;
use portolan_store::{Db, Row, Tx, args};

use super::owners::{of_owner, owned};
use crate::model::{
    revocations::Ended,
    sealed::WEBHOOK_URL,
    slack_webhooks::{Address, SlackWebhook},
};

const INSERT: &str = "INSERT INTO slack_webhooks
    (account_id, webhook_id, user_id, username, name, url, url_digest, url_shown, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (account_id, url_digest) DO NOTHING";

/// False when the account has this address already.
pub(crate) async fn insert(
    tx: &mut Tx,
    webhook: &SlackWebhook,
    url: &str,
    digest: &str,
    secrets: &Secrets,
) -> Result<bool> {
    let values = args![
        webhook.account_id,
        webhook.id,
        webhook.user_id,
        &webhook.username,
        &webhook.name,
        secrets.seal(&WEBHOOK_URL.row(webhook.id), url.as_bytes()),
        digest,
        &webhook.shown,
        webhook.created_at
    ];
    Ok(tx.execute(INSERT, values).await? == 1)
}

const COUNT: &str = "SELECT count(*) AS n FROM slack_webhooks WHERE account_id = $1";

pub(crate) async fn count(tx: &mut Tx, account_id: AccountId) -> Result<i64> {
    Ok(tx.fetch_one(COUNT, args![account_id]).await?.get("n")?)
}

const LIST: &str = "SELECT account_id, webhook_id, user_id, username, name, url_shown, created_at
    FROM slack_webhooks WHERE account_id = $1 AND user_id = $2 ORDER BY webhook_id";

pub(crate) async fn list(db: &Db, account_id: AccountId, user_id: UserId) -> Result<Vec<SlackWebhook>> {
    db.fetch_all(LIST, args![account_id, user_id]).await?.iter().map(webhook).collect()
}

const DELETE: &str = "DELETE FROM slack_webhooks WHERE account_id = $1 AND user_id = $2 AND webhook_id = $3";

pub(crate) async fn delete(tx: &mut Tx, account_id: AccountId, user_id: UserId, id: WebhookId) -> Result<bool> {
    Ok(tx.execute(DELETE, args![account_id, user_id, id]).await? == 1)
}

const DELETE_OF_OWNER: &str = "DELETE FROM slack_webhooks
    WHERE account_id = $1 AND ($2 = 0 OR user_id = $2) AND created_at <= $3 RETURNING user_id, webhook_id AS id";

/// Returns user and id of each.
pub(crate) async fn delete_of_owner(tx: &mut Tx, ended: &Ended) -> Result<Vec<(UserId, WebhookId)>> {
    tx.fetch_all(DELETE_OF_OWNER, of_owner(ended)).await?.iter().map(owned).collect()
}

const ADDRESSES: &str = "SELECT webhook_id, user_id, url FROM slack_webhooks WHERE account_id = $1 ORDER BY webhook_id";

/// The addresses, opened. One that cannot be opened, as one sealed with another key, is left out and silences no other.
pub(crate) async fn addresses(db: &Db, secrets: &Secrets, account_id: AccountId) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for row in db.fetch_all(ADDRESSES, args![account_id]).await? {
        let id: WebhookId = row.get("webhook_id")?;
        let opened = secrets.open(&WEBHOOK_URL.row(id), &row.get::<Vec<u8>>("url")?).ok();
        match opened.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(url) => addresses.push(Address { id, user_id: row.get("user_id")?, url }),
            None => tracing::error!(
                account_id = account_id.get(),
                id = id.get(),
                "the address of a Slack webhook cannot be opened: add it anew"
            ),
        }
    }
    Ok(addresses)
}

const POSTED: &str = "SELECT webhook_id FROM slack_messages WHERE account_id = $1 AND message_id = $2";

/// The webhooks that a message was posted to.
pub(crate) async fn posted(db: &Db, account_id: AccountId, message_id: &str) -> Result<HashSet<WebhookId>> {
    let rows = db.fetch_all(POSTED, args![account_id, message_id]).await?;
    rows.iter().map(|row| Ok(row.get("webhook_id")?)).collect()
}

const NOTE_POSTED: &str = "INSERT INTO slack_messages (account_id, message_id, webhook_id, posted_at)
    VALUES ($1, $2, $3, $4) ON CONFLICT (account_id, message_id, webhook_id) DO NOTHING";
const FORGET_POSTED: &str = "DELETE FROM slack_messages WHERE account_id = $1 AND posted_at < $2";

/// Notes that a message was posted to a webhook, and forgets what was posted long before.
pub(crate) async fn note_posted(
    db: &Db,
    account_id: AccountId,
    message_id: &str,
    id: WebhookId,
    now: i64,
    forget_before: i64,
) -> Result<()> {
    let mut tx = db.begin().await?;
    tx.execute(NOTE_POSTED, args![account_id, message_id, id, now]).await?;
    tx.execute(FORGET_POSTED, args![account_id, forget_before]).await?;
    Ok(tx.commit().await?)
}

fn webhook(row: &Row) -> Result<SlackWebhook> {
    Ok(SlackWebhook {
        id: row.get("webhook_id")?,
        account_id: row.get("account_id")?,
        user_id: row.get("user_id")?,
        username: row.get("username")?,
        name: row.get("name")?,
        shown: row.get("url_shown")?,
        created_at: row.get("created_at")?,
    })
}
