use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, Row, Tx, args};

use crate::{
    model::{
        groups::OfGroup,
        issues::{Open, Report},
    },
    store::groups::{of_group, shown_by_any},
};

/// Open issues of one answer.
const ISSUES_MAX: i64 = 200_000;

const SAVE: &str = "INSERT INTO issues (account_id, issue_id, collection_id, url_key, severity, status, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, issue_id) DO UPDATE SET \
     collection_id = excluded.collection_id, url_key = excluded.url_key, severity = excluded.severity, \
     status = excluded.status, updated_at = excluded.updated_at";

pub async fn save(tx: &mut Tx, account_id: AccountId, url_key: &str, report: &Report) -> Result<(), Error> {
    let row = args![
        account_id,
        &report.id,
        report.endpoint.collection_id,
        url_key,
        &report.severity,
        &report.status,
        report.tested_at
    ];
    tx.execute(SAVE, row).await.map(drop)
}

const MOVE: &str = "UPDATE issues SET url_key = $4 WHERE account_id = $1 AND collection_id = $2 AND url_key = $3";

/// Reports the findings at one effective URL at another.
pub async fn move_to(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    from: &str,
    to: &str,
) -> Result<(), Error> {
    tx.execute(MOVE, args![account_id, collection_id, from, to]).await.map(drop)
}

const NOTE_TEST: &str = "UPDATE api_endpoints SET last_tested = CASE WHEN last_tested < $4 THEN $4 ELSE last_tested END \
     WHERE account_id = $1 AND collection_id = $2 AND url_key = $3 AND removed = 0";

/// Notes when an endpoint was tested; false when there is no such endpoint.
pub async fn note_test(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
    tested_at: i64,
) -> Result<bool, Error> {
    Ok(tx.execute(NOTE_TEST, args![account_id, collection_id, url_key, tested_at]).await? == 1)
}

const FORGET_CLOSED: &str = "DELETE FROM issues WHERE (account_id, issue_id) IN (SELECT account_id, issue_id FROM issues \
     WHERE (status <> 'OPEN' OR severity = '') AND updated_at < $1 LIMIT $2)";

/// Forgets some of the issues that are closed, and of the tests without a finding, that were told last before a time.
pub async fn forget_closed(db: &Db, before: i64, limit: i64) -> Result<u64, Error> {
    db.execute(FORGET_CLOSED, args![before, limit]).await
}

const SELECT_OPEN: &str = "SELECT i.collection_id, e.url, e.method, i.severity, count(*) AS issues FROM issues i \
     JOIN api_endpoints e ON e.account_id = i.account_id AND e.collection_id = i.collection_id \
         AND e.url_key = i.url_key AND e.removed = 0 \
     WHERE i.account_id = $1 AND i.status = 'OPEN' AND i.severity <> '' AND ($2 IS NULL OR i.collection_id = $2) \
     {granting} GROUP BY i.collection_id, e.url, e.method, i.severity ORDER BY i.collection_id, e.url, e.method LIMIT $3";

/// Open issues by collection, endpoint and severity, of one collection or of all; see [`super::groups::counts`].
pub async fn open(
    db: &Db,
    account_id: AccountId,
    collection_id: Option<CollectionId>,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<(CollectionId, Open)>, Error> {
    let sql = shown_by_any(SELECT_OPEN, "i", granting);
    let rows = db.fetch_all(sql, args![account_id, collection_id, ISSUES_MAX]).await?;
    rows.iter().map(|row| Ok((row.get("collection_id")?, read_open(row)?))).collect()
}

const SELECT_OPEN_OF_GROUPS: &str = "SELECT g.group_id, g.collection_id, e.url, e.method, i.severity, \
         count(*) AS issues FROM issues i \
     JOIN api_endpoints e ON e.account_id = i.account_id AND e.collection_id = i.collection_id \
         AND e.url_key = i.url_key AND e.removed = 0 \
     JOIN group_members g ON g.account_id = i.account_id AND g.collection_id = i.collection_id \
         AND g.url_key = i.url_key \
     WHERE i.account_id = $1 AND i.status = 'OPEN' AND i.severity <> '' AND ($2 IS NULL OR g.group_id = $2) {granting} \
     GROUP BY g.group_id, g.collection_id, e.url, e.method, i.severity \
     ORDER BY g.group_id, g.collection_id, e.url, e.method LIMIT $3";

/// As [`open`], of what one group or each group shows of each collection; see [`super::groups::counts`].
pub async fn open_of_groups(
    db: &Db,
    account_id: AccountId,
    group_id: Option<CollectionId>,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<OfGroup<Open>>, Error> {
    let sql = shown_by_any(SELECT_OPEN_OF_GROUPS, "g", granting);
    let rows = db.fetch_all(sql, args![account_id, group_id, ISSUES_MAX]).await?;
    let read = |row: &Row| {
        Ok(OfGroup { group_id: row.get("group_id")?, owner_id: row.get("collection_id")?, value: read_open(row)? })
    };
    rows.iter().map(read).collect()
}

const SELECT_TESTED: &str = "SELECT DISTINCT url_key, last_tested FROM api_endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND last_tested > 0 AND removed = 0";

/// When the endpoints of a collection were last tested, by the key of the URL; those that were.
pub async fn tested(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Vec<(String, i64)>, Error> {
    let rows = db.fetch_all(SELECT_TESTED, args![account_id, collection_id]).await?;
    rows.iter().map(|row| Ok((row.get("url_key")?, row.get("last_tested")?))).collect()
}

const SELECT_SEVERITIES: &str = "SELECT url_key, severity, count(*) AS issues FROM issues \
     WHERE account_id = $1 AND collection_id = $2 AND status = 'OPEN' AND severity <> '' GROUP BY url_key, severity";

/// The open issues of a collection by the key of the URL, and their severity.
pub async fn severities(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<(String, String, i64)>, Error> {
    let rows = db.fetch_all(SELECT_SEVERITIES, args![account_id, collection_id]).await?;
    rows.iter().map(|row| Ok((row.get("url_key")?, row.get("severity")?, row.get("issues")?))).collect()
}

fn read_open(row: &Row) -> Result<Open, Error> {
    Ok(Open {
        url: row.get("url")?,
        method: row.get("method")?,
        severity: row.get("severity")?,
        count: row.get("issues")?,
    })
}

const COUNT_TESTED: &str = "SELECT e.collection_id, count(*) AS tested FROM api_endpoints e \
     WHERE e.account_id = $1 AND e.removed = 0 AND e.last_tested >= $2 {granting} GROUP BY e.collection_id";

/// Endpoints tested since a time, by collection; see [`super::groups::counts`].
pub async fn tested_since(
    db: &Db,
    account_id: AccountId,
    since: i64,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<(CollectionId, i64)>, Error> {
    let rows = db.fetch_all(shown_by_any(COUNT_TESTED, "e", granting), args![account_id, since]).await?;
    rows.iter().map(|row| Ok((row.get("collection_id")?, row.get("tested")?))).collect()
}

const COUNT_TESTED_OF_GROUPS: &str = "SELECT g.group_id, g.collection_id, count(*) AS tested FROM api_endpoints e \
     JOIN group_members g ON g.account_id = e.account_id AND g.collection_id = e.collection_id \
         AND g.url_key = e.url_key \
     WHERE e.account_id = $1 AND e.removed = 0 AND e.last_tested >= $2 {granting} \
     GROUP BY g.group_id, g.collection_id";

/// As [`tested_since`], of what each group shows of each collection.
pub async fn tested_of_groups_since(
    db: &Db,
    account_id: AccountId,
    since: i64,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<OfGroup<i64>>, Error> {
    let rows = db.fetch_all(shown_by_any(COUNT_TESTED_OF_GROUPS, "g", granting), args![account_id, since]).await?;
    rows.iter().map(|row| of_group(row, "tested")).collect()
}
