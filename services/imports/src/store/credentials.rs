use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Error, Tx, args};

use crate::model::credentials::Sealed;

const PUT: &str = "
INSERT INTO postman_credentials (account_id, workspace_id, api_key, updated_by, updated_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id) DO UPDATE SET workspace_id = excluded.workspace_id, api_key = excluded.api_key,
    updated_by = excluded.updated_by, updated_at = excluded.updated_at";

pub async fn put(tx: &mut Tx, account_id: AccountId, sealed: &Sealed, user_id: UserId, now: i64) -> Result<(), Error> {
    tx.execute(PUT, args![account_id, &sealed.workspace_id, &sealed.api_key, user_id, now]).await.map(drop)
}

const GET: &str = "SELECT workspace_id, api_key FROM postman_credentials WHERE account_id = $1";

pub async fn get(db: &Db, account_id: AccountId) -> Result<Option<Sealed>, Error> {
    let row = db.fetch_optional(GET, args![account_id]).await?;
    row.map(|row| Ok(Sealed { workspace_id: row.get("workspace_id")?, api_key: row.get("api_key")? })).transpose()
}
