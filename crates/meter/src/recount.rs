use std::collections::BTreeMap;

use portolan_ids::AccountId;
use portolan_outbox::USAGE;
use portolan_store::{Db, Error, Tx, args};

use crate::{TAKE_DELTAS_OF, add};

/// A repetition is due when two recounts of one account meet.
const ATTEMPTS_MAX: usize = 10;

const KEPT: &str = "SELECT feature, count, version, recounts FROM meter_counts WHERE account_id = $1";
const WAITING: &str = "SELECT feature, cast(sum(delta) as bigint) AS delta FROM meter_deltas \
     WHERE account_id = $1 GROUP BY feature";
const IS_ON_ITS_WAY: &str = "SELECT seq FROM outbox WHERE topic = $1 AND event_id >= $2 AND event_id < $3 LIMIT 1";
const CLAIM: &str = "INSERT INTO meter_counts (account_id, feature, count, version, recounts) \
     VALUES ($1, $2, 0, 0, 1) ON CONFLICT (account_id, feature) DO UPDATE SET recounts = meter_counts.recounts + 1 \
     WHERE meter_counts.recounts = $3";

/// A count that was made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// What is counted.
    pub feature: String,
    /// As kept before, deltas that waited included.
    pub kept: i64,
    /// What there is.
    pub counted: i64,
    /// The version of `kept`, when billing had acknowledged it.
    pub settled_version: Option<i64>,
    /// The count after the repair, and its version.
    pub count: i64,
    /// Of the count after the recount.
    pub version: i64,
}

#[derive(Clone, Copy, Default)]
struct Kept {
    count: i64,
    version: i64,
    recounts: i64,
    waiting: Option<i64>,
    is_on_its_way: bool,
}

/// Counts what an account uses anew, sets the kept counts to it, and reports them. `counting` is a query of `$1`, the
/// account, that answers `feature` and `used` for every feature that the service counts.
///
/// # Errors
/// Any of the store, [`Error::Conflict`] when another recount was always faster.
pub async fn recount(db: &Db, account_id: AccountId, counting: &'static str) -> Result<Vec<Recount>, Error> {
    for _ in 0..ATTEMPTS_MAX {
        match attempt(db, account_id, counting).await {
            Ok(Some(recounts)) => return Ok(recounts),
            Ok(None) => {}
            Err(error) if error.repeatable() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict("other recounts of the account were faster".into()))
}

/// `None` when another recount came between.
async fn attempt(db: &Db, account_id: AccountId, counting: &'static str) -> Result<Option<Vec<Recount>>, Error> {
    let mut seen = db.begin_read().await?;
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for row in seen.fetch_all(counting, args![account_id]).await? {
        counted.insert(row.get("feature")?, row.get("used")?);
    }
    let kept = read_kept(&mut seen, account_id, counted.keys()).await?;
    seen.rollback().await?;
    db.fault("meter.recounted").await?;

    let mut tx = db.begin().await?;
    let mut recounts = Vec::with_capacity(counted.len());
    for (feature, counted) in &counted {
        let before = kept.get(feature).copied().unwrap_or_default();
        // Two recounts of one moment would repair a difference twice: the row says which was first.
        if tx.execute(CLAIM, args![account_id, feature, before.recounts]).await? == 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        let kept = before.count + before.waiting.unwrap_or(0);
        let mut delta = counted - kept;
        for row in tx.fetch_all(TAKE_DELTAS_OF, args![account_id, feature]).await? {
            delta += row.get::<i64>("delta")?;
        }
        let is_settled = before.version > 0 && before.waiting.is_none() && !before.is_on_its_way;
        let settled_version = is_settled.then_some(before.version);
        let (count, version) = add(&mut tx, account_id, feature, delta).await?;
        recounts.push(Recount { feature: feature.clone(), kept, counted: *counted, settled_version, count, version });
    }
    tx.commit().await?;
    Ok(Some(recounts))
}

async fn read_kept(
    seen: &mut Tx,
    account_id: AccountId,
    features: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Kept>, Error> {
    let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
    for row in seen.fetch_all(KEPT, args![account_id]).await? {
        let (count, version, recounts) = (row.get("count")?, row.get("version")?, row.get("recounts")?);
        kept.insert(row.get("feature")?, Kept { count, version, recounts, ..Kept::default() });
    }
    for row in seen.fetch_all(WAITING, args![account_id]).await? {
        kept.entry(row.get("feature")?).or_default().waiting = Some(row.get("delta")?);
    }
    for feature in features {
        // Ids are ACCOUNT/FEATURE/VERSION, and `0` follows `/`.
        let (from, to) = (format!("{account_id}/{feature}/"), format!("{account_id}/{feature}0"));
        let found = seen.fetch_optional(IS_ON_ITS_WAY, args![USAGE, &from, &to]).await?;
        kept.entry(feature.clone()).or_default().is_on_its_way = found.is_some();
    }
    Ok(kept)
}
