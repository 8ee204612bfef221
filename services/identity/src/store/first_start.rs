use portolan_api::Result;
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Tx, args};

use super::one;
use crate::model::first_start::FirstStep;

const INSERT_FIRST_START: &str = "INSERT INTO first_start (step, account_id, user_id) VALUES ($1, $2, $3)";

pub(crate) async fn insert_first_start(tx: &mut Tx, step: &str, account_id: AccountId, user_id: UserId) -> Result<()> {
    one(tx.execute(INSERT_FIRST_START, args![step, account_id, user_id]).await?)
}

/// A step under way is named `<step>#<Unix seconds of its claim>`.
const CLAIM_FIRST_START: &str = "UPDATE first_start SET step = $2 \
     WHERE step = $1 OR (step > $1 || '#' AND step < $3) RETURNING account_id, user_id";
const COUNT_FIRST_START: &str = "SELECT count(*) AS steps FROM first_start WHERE step = $1 OR step > $1 || '#'";

/// Takes a step that nobody does, or whose claim is older than `lease_s`.
pub(crate) async fn claim_first_start(db: &Db, step: &str, now: i64, lease_s: i64) -> Result<FirstStep> {
    let claim = format!("{step}#{now}");
    let lapsed = format!("{step}#{}", now - lease_s);
    let mut tx = db.begin().await?;
    let claimed = tx.fetch_optional(CLAIM_FIRST_START, args![step, &claim, lapsed]).await?;
    tx.commit().await?;
    if let Some(row) = claimed {
        return Ok(FirstStep::Claimed { account_id: row.get("account_id")?, user_id: row.get("user_id")?, claim });
    }
    let left: i64 = db.fetch_one(COUNT_FIRST_START, args![step]).await?.get(0)?;
    Ok(if left == 0 { FirstStep::Done } else { FirstStep::Taken })
}

const DELETE_FIRST_START: &str = "DELETE FROM first_start WHERE step = $1";

/// Ends a step. One whose claim lapsed meanwhile is another process's to end.
pub(crate) async fn delete_first_start(db: &Db, claim: &str) -> Result<()> {
    db.execute(DELETE_FIRST_START, args![claim]).await?;
    Ok(())
}
