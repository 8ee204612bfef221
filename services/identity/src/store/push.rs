use portolan_api::Result;
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Row, Tx, args};

use super::one;
use crate::model::push::{Device, Due};

const UPSERT_DEVICE: &str = "INSERT INTO push_devices
    (account_id, user_id, endpoint_digest, endpoint, p256dh, auth, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (account_id, user_id, endpoint_digest) DO UPDATE SET p256dh = excluded.p256dh, auth = excluded.auth,
        created_at = excluded.created_at";

pub(crate) async fn upsert_device(
    tx: &mut Tx,
    account_id: AccountId,
    user_id: UserId,
    device: &Device,
    now: i64,
) -> Result<()> {
    let Device { endpoint_digest, endpoint, p256dh, auth } = device;
    one(tx.execute(UPSERT_DEVICE, args![account_id, user_id, endpoint_digest, endpoint, p256dh, auth, now]).await?)
}

const DELETE_OLD_DEVICES: &str = "DELETE FROM push_devices WHERE account_id = $1 AND user_id = $2
    AND endpoint_digest NOT IN (SELECT endpoint_digest FROM push_devices WHERE account_id = $1 AND user_id = $2
        ORDER BY created_at DESC, endpoint_digest LIMIT $3)";

/// Keeps the newest devices of a user.
pub(crate) async fn delete_old_devices(tx: &mut Tx, account_id: AccountId, user_id: UserId, kept: i64) -> Result<()> {
    tx.execute(DELETE_OLD_DEVICES, args![account_id, user_id, kept]).await?;
    Ok(())
}

const DELETE_DEVICES_OF_MEMBER: &str = "DELETE FROM push_devices WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn delete_devices_of_member(tx: &mut Tx, account_id: AccountId, user_id: UserId) -> Result<()> {
    tx.execute(DELETE_DEVICES_OF_MEMBER, args![account_id, user_id]).await?;
    Ok(())
}

const DELETE_DEVICE: &str = "DELETE FROM push_devices WHERE account_id = $1 AND user_id = $2 AND endpoint_digest = $3";
const DELETE_MESSAGES_OF_DEVICE: &str =
    "DELETE FROM push_messages WHERE account_id = $1 AND user_id = $2 AND endpoint_digest = $3";

/// Removes a device that is gone, with everything queued for it.
pub(crate) async fn delete_device(tx: &mut Tx, due: &Due) -> Result<()> {
    let values = || args![due.account_id, due.user_id, &due.endpoint_digest];
    tx.execute(DELETE_DEVICE, values()).await?;
    tx.execute(DELETE_MESSAGES_OF_DEVICE, values()).await?;
    Ok(())
}

const USERS_WITH_DEVICES: &str = "SELECT DISTINCT user_id FROM push_devices WHERE account_id = $1 ORDER BY user_id";

pub(crate) async fn users_with_devices(db: &Db, account_id: AccountId) -> Result<Vec<UserId>> {
    let rows = db.fetch_all(USERS_WITH_DEVICES, args![account_id]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

const INSERT_MESSAGES: &str = "INSERT INTO push_messages
    (account_id, message_id, user_id, endpoint_digest, payload, attempts, next_attempt_at)
    SELECT account_id, $2, user_id, endpoint_digest, $3, 0, $4 FROM push_devices WHERE account_id = $1 AND user_id = $5
    ON CONFLICT DO NOTHING";

/// One row a device of the user; those that are there already stay as they are.
pub(crate) async fn insert_messages(
    tx: &mut Tx,
    account_id: AccountId,
    user_id: UserId,
    message_id: &str,
    payload: &str,
    now: i64,
) -> Result<i64> {
    let queued = tx.execute(INSERT_MESSAGES, args![account_id, message_id, payload, now, user_id]).await?;
    Ok(i64::try_from(queued).unwrap_or(i64::MAX))
}

// The condition stands twice: a process that waited for the row of another must look at it again.
const LEASE_MESSAGES: &str = "UPDATE push_messages SET attempts = attempts + 1, next_attempt_at = $2
    WHERE next_attempt_at <= $1 AND (account_id, message_id, user_id, endpoint_digest) IN
        (SELECT account_id, message_id, user_id, endpoint_digest FROM
            (SELECT account_id, message_id, user_id, endpoint_digest, next_attempt_at,
                row_number() OVER (PARTITION BY account_id ORDER BY next_attempt_at) AS place
                FROM push_messages WHERE next_attempt_at <= $1) AS due
            ORDER BY place, next_attempt_at LIMIT $3)
    RETURNING account_id, message_id, user_id, endpoint_digest, payload, attempts";

/// Takes messages that are due, of each account one before any second one; they are due again at `again_at` unless something is said of them before.
pub(crate) async fn lease_messages(db: &Db, now: i64, again_at: i64, limit: i64) -> Result<Vec<Due>> {
    let due = |row: &Row| {
        Ok(Due {
            account_id: row.get("account_id")?,
            message_id: row.get("message_id")?,
            user_id: row.get("user_id")?,
            endpoint_digest: row.get("endpoint_digest")?,
            payload: row.get("payload")?,
            attempts: row.get("attempts")?,
        })
    };
    let mut tx = db.begin().await?;
    let rows = tx.fetch_all(LEASE_MESSAGES, args![now, again_at, limit]).await?;
    tx.commit().await?;
    rows.iter().map(due).collect()
}

const FIND_DEVICE: &str = "SELECT endpoint_digest, endpoint, p256dh, auth FROM push_devices
    WHERE account_id = $1 AND user_id = $2 AND endpoint_digest = $3";

pub(crate) async fn find_device(db: &Db, due: &Due) -> Result<Option<Device>> {
    let row = db.fetch_optional(FIND_DEVICE, args![due.account_id, due.user_id, &due.endpoint_digest]).await?;
    let device = |row: Row| {
        Ok(Device {
            endpoint_digest: row.get("endpoint_digest")?,
            endpoint: row.get("endpoint")?,
            p256dh: row.get("p256dh")?,
            auth: row.get("auth")?,
        })
    };
    row.map(device).transpose()
}

const DELAY_MESSAGE: &str = "UPDATE push_messages SET next_attempt_at = $5, attempts = $6
    WHERE account_id = $1 AND message_id = $2 AND user_id = $3 AND endpoint_digest = $4";

/// Sets when a message is looked at next, and its attempts.
pub(crate) async fn delay_message(db: &Db, due: &Due, at: i64, attempts: i64) -> Result<()> {
    let Due { account_id, message_id, user_id, endpoint_digest, .. } = due;
    db.execute(DELAY_MESSAGE, args![*account_id, message_id, *user_id, endpoint_digest, at, attempts]).await?;
    Ok(())
}

const DELETE_MESSAGE: &str = "DELETE FROM push_messages
    WHERE account_id = $1 AND message_id = $2 AND user_id = $3 AND endpoint_digest = $4";

pub(crate) async fn delete_message(db: &Db, due: &Due) -> Result<()> {
    let Due { account_id, message_id, user_id, endpoint_digest, .. } = due;
    db.execute(DELETE_MESSAGE, args![*account_id, message_id, *user_id, endpoint_digest]).await?;
    Ok(())
}

const INSERT_KEY: &str = "INSERT INTO installation_keys (name, public_key, private_key, created_at)
    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

/// Of two processes that make one key, the first wins.
pub(crate) async fn insert_installation_key(
    db: &Db,
    name: &str,
    public_key: Vec<u8>,
    private_key: Vec<u8>,
    now: i64,
) -> Result<()> {
    db.execute(INSERT_KEY, args![name, public_key, private_key, now]).await?;
    Ok(())
}

const DELETE_KEY: &str = "DELETE FROM installation_keys WHERE name = $1 AND private_key = $2";

/// Deletes a key, unless another one has taken its place.
pub(crate) async fn delete_installation_key(db: &Db, name: &str, private_key: Vec<u8>) -> Result<()> {
    db.execute(DELETE_KEY, args![name, private_key]).await?;
    Ok(())
}

const FIND_KEY: &str = "SELECT public_key, private_key FROM installation_keys WHERE name = $1";

/// Public and sealed private key.
pub(crate) async fn find_installation_key(db: &Db, name: &str) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some(row) = db.fetch_optional(FIND_KEY, args![name]).await? else { return Ok(None) };
    Ok(Some((row.get("public_key")?, row.get("private_key")?)))
}
