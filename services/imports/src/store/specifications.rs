use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_store::{Db, Error, Tx, args, retrying};

use crate::model::specifications::Specification;

const PUT: &str = "
INSERT INTO import_specifications (account_id, collection_id, name, content, updated_by, updated_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, collection_id) DO UPDATE SET name = excluded.name, content = excluded.content,
    updated_by = excluded.updated_by, updated_at = excluded.updated_at";

pub async fn put(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    specification: &Specification,
    user_id: UserId,
) -> Result<(), Error> {
    let Specification { name, content, updated_at } = specification;
    tx.execute(PUT, args![account_id, collection_id, name, content, user_id, *updated_at]).await.map(drop)
}

const GET: &str = "
SELECT name, content, updated_at FROM import_specifications WHERE account_id = $1 AND collection_id = $2";

pub async fn get(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Option<Specification>, Error> {
    let row = db.fetch_optional(GET, args![account_id, collection_id]).await?;
    row.map(|row| {
        Ok(Specification { name: row.get("name")?, content: row.get("content")?, updated_at: row.get("updated_at")? })
    })
    .transpose()
}

const DELETE: &str = "DELETE FROM import_specifications WHERE account_id = $1 AND collection_id = $2";

pub async fn delete(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    let args = || args![account_id, collection_id];
    retrying(|| async { db.execute(DELETE, args()).await.map(drop) }).await
}
