use portolan_store::{Db, Error, Tx, args};

/// A deletion to be finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub account_id: i64,
    pub job_id: String,
    pub collection_id: i32,
}

const INSERT: &str = "INSERT INTO inventory_jobs (account_id, job_id, kind, collection_id, created_at) \
     VALUES ($1, $2, 'DELETE_COLLECTION', $3, $4) ON CONFLICT DO NOTHING";

/// Notes that the data of a deleted collection is to be removed.
pub async fn insert_deletion(tx: &mut Tx, account_id: i64, collection_id: i32, now: i64) -> Result<(), Error> {
    let job_id = format!("delete-{collection_id}");
    tx.execute(INSERT, args![account_id, job_id, collection_id, now]).await.map(drop)
}

const CLAIM: &str = "UPDATE inventory_jobs SET lease_owner = $1, lease_until = $2 \
     WHERE (account_id, job_id) IN (SELECT account_id, job_id FROM inventory_jobs WHERE lease_until <= $3 \
         ORDER BY created_at, account_id, job_id LIMIT 1) AND lease_until <= $3 \
     RETURNING account_id, job_id, collection_id";

/// Takes the oldest job that nobody works on, until `lease_until`.
pub async fn claim(db: &Db, owner: &str, now: i64, lease_until: i64) -> Result<Option<Deletion>, Error> {
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(CLAIM, args![owner, lease_until, now]).await?;
    let job = row
        .map(|row| {
            Ok::<_, Error>(Deletion {
                account_id: row.get("account_id")?,
                job_id: row.get("job_id")?,
                collection_id: i32::try_from(row.get::<i64>("collection_id")?)
                    .map_err(|_| Error::Inconsistency("collection id is out of range".into()))?,
            })
        })
        .transpose()?;
    tx.commit().await?;
    Ok(job)
}

const RENEW: &str =
    "UPDATE inventory_jobs SET lease_until = $4 WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Keeps a claimed job; false when another worker has taken it over.
pub async fn renew(tx: &mut Tx, job: &Deletion, owner: &str, lease_until: i64) -> Result<bool, Error> {
    Ok(tx.execute(RENEW, args![job.account_id, &job.job_id, owner, lease_until]).await? == 1)
}

const RELEASE: &str =
    "UPDATE inventory_jobs SET lease_until = 0 WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Gives a claimed job back at once.
pub async fn release(db: &Db, job: &Deletion, owner: &str) -> Result<(), Error> {
    db.execute(RELEASE, args![job.account_id, &job.job_id, owner]).await.map(drop)
}

const DELETE: &str = "DELETE FROM inventory_jobs WHERE account_id = $1 AND job_id = $2";

pub async fn delete(tx: &mut Tx, job: &Deletion) -> Result<(), Error> {
    tx.execute(DELETE, args![job.account_id, &job.job_id]).await.map(drop)
}
