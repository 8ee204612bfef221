use std::collections::{BTreeMap, BTreeSet};

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Sql, Tx, Value, args};

use crate::{
    model::{collections::Sharing, groups::OfGroup},
    store::{LIST_MAX, by_keys, with_keys},
};

/// Groups of an account that are looked at.
const GROUPS_MAX: i64 = 10_000;

const SELECT_CONDITIONS: &str = "SELECT collection_id, conditions FROM collections \
     WHERE account_id = $1 AND kind = 'API_GROUP' AND deleted_at IS NULL ORDER BY collection_id LIMIT $2";

/// Id and stored conditions of every group.
pub async fn conditions(tx: &mut Tx, account_id: AccountId) -> Result<Vec<(CollectionId, String)>, Error> {
    tx.fetch_all(SELECT_CONDITIONS, args![account_id, GROUPS_MAX]).await?.iter().map(group).collect()
}

fn group(row: &Row) -> Result<(CollectionId, String), Error> {
    let conditions = row.get::<Option<String>>("conditions")?.unwrap_or_else(|| "[]".to_owned());
    Ok((row.get("collection_id")?, conditions))
}

const SELECT_CONDITIONS_OF: &str = "SELECT collection_id, conditions FROM collections \
     WHERE account_id = $1 AND collection_id = $2 AND kind = 'API_GROUP' AND deleted_at IS NULL";

/// As [`conditions`], of one group; nothing when it is no group.
pub async fn conditions_of(
    tx: &mut Tx,
    account_id: AccountId,
    group_id: CollectionId,
) -> Result<Option<(CollectionId, String)>, Error> {
    tx.fetch_optional(SELECT_CONDITIONS_OF, args![account_id, group_id]).await?.as_ref().map(group).transpose()
}

const COUNT_GROUPS: &str = "SELECT count(*) FROM collections \
     WHERE account_id = $1 AND kind = 'API_GROUP' AND deleted_at IS NULL";

/// How many groups an account has.
pub async fn count(tx: &mut Tx, account_id: AccountId) -> Result<usize, Error> {
    let row = tx.fetch_one(COUNT_GROUPS, args![account_id]).await?;
    Ok(usize::try_from(row.get::<i64>(0)?).unwrap_or(usize::MAX))
}

const COUNT_CHARACTERS: &str = "SELECT CAST(COALESCE(SUM(LENGTH(conditions)), 0) AS BIGINT) AS characters \
     FROM collections WHERE account_id = $1 AND kind = 'API_GROUP' AND deleted_at IS NULL";

/// Characters of the stored conditions of all groups of an account.
pub async fn text_characters(tx: &mut Tx, account_id: AccountId) -> Result<usize, Error> {
    let row = tx.fetch_optional(COUNT_CHARACTERS, args![account_id]).await?;
    let characters = row.map(|row| row.get::<i64>("characters")).transpose()?.unwrap_or_default();
    Ok(usize::try_from(characters).unwrap_or_default())
}

const SELECT_ALL_CONDITIONS: &str = "SELECT account_id, collection_id, conditions FROM collections \
     WHERE kind = 'API_GROUP' AND deleted_at IS NULL AND conditions IS NOT NULL ORDER BY account_id, collection_id";

/// Account, id and stored conditions of every group of the installation.
pub async fn all_conditions(db: &Db) -> Result<Vec<(AccountId, CollectionId, String)>, Error> {
    let read =
        |row: &portolan_store::Row| Ok((row.get("account_id")?, row.get("collection_id")?, row.get("conditions")?));
    db.fetch_all(SELECT_ALL_CONDITIONS, args![]).await?.iter().map(read).collect()
}

const LOCK_CONDITIONS: &str = "UPDATE collections SET kind = kind WHERE account_id = $1 AND collection_id = $2 \
     AND kind = 'API_GROUP' AND deleted_at IS NULL RETURNING conditions, sharing";

/// Holds a group until the transaction ends and returns its conditions; nothing when it is no group.
pub async fn lock(
    tx: &mut Tx,
    account_id: AccountId,
    group_id: CollectionId,
) -> Result<Option<(String, Sharing)>, Error> {
    let row = tx.fetch_optional(LOCK_CONDITIONS, args![account_id, group_id]).await?;
    row.map(|row| {
        let conditions = row.get::<Option<String>>("conditions")?.unwrap_or_else(|| "[]".to_owned());
        Ok((conditions, super::collections::sharing(&row)?))
    })
    .transpose()
}

const UPDATE_CONDITIONS: &str =
    "UPDATE collections SET conditions = $3, sharing = $4 WHERE account_id = $1 AND collection_id = $2";

pub async fn update_conditions(
    tx: &mut Tx,
    account_id: AccountId,
    group_id: CollectionId,
    conditions: &str,
    sharing: Sharing,
) -> Result<(), Error> {
    let sharing = super::collections::sharing_number(sharing);
    tx.execute(UPDATE_CONDITIONS, args![account_id, group_id, conditions, sharing]).await.map(drop)
}

const SELECT_MEMBERS: &str = "SELECT group_id, url_key FROM group_members \
     WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys})";

/// The groups that show these effective URLs of a collection.
pub async fn of_endpoints(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<BTreeSet<(CollectionId, String)>, Error> {
    let rows = by_keys(tx, SELECT_MEMBERS, account_id, collection_id, url_keys).await?;
    rows.iter().map(member).collect()
}

fn member(row: &Row) -> Result<(CollectionId, String), Error> {
    Ok((row.get("group_id")?, row.get("url_key")?))
}

const SELECT_MEMBERS_OF_GROUP: &str = "SELECT group_id, url_key FROM group_members \
     WHERE account_id = $1 AND collection_id = $2 AND group_id = $3 AND url_key IN ({keys})";

/// Those of these effective URLs of a collection that a group shows.
pub async fn of_endpoints_in(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    group_id: CollectionId,
    url_keys: &[&str],
) -> Result<BTreeSet<(CollectionId, String)>, Error> {
    let mut found = BTreeSet::new();
    for keys in url_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(SELECT_MEMBERS_OF_GROUP, 4, keys);
        let mut arguments = args![account_id, collection_id, group_id];
        arguments.extend(keys);
        for row in tx.fetch_all(sql, arguments).await? {
            found.insert(member(&row)?);
        }
    }
    Ok(found)
}

const SELECT_BY_COLLECTION: &str = "SELECT url_key, group_id FROM group_members WHERE account_id = $1 AND collection_id = $2 ORDER BY url_key, group_id";

/// For each effective URL of a collection the groups that show it.
pub async fn by_collection(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<BTreeMap<String, Vec<CollectionId>>, Error> {
    let mut found: BTreeMap<String, Vec<CollectionId>> = BTreeMap::new();
    for row in db.fetch_all(SELECT_BY_COLLECTION, args![account_id, collection_id]).await? {
        found.entry(row.get("url_key")?).or_default().push(row.get("group_id")?);
    }
    Ok(found)
}

const SELECT_BY_GROUP: &str = "SELECT collection_id, url_key FROM group_members \
     WHERE account_id = $1 AND group_id = $2 ORDER BY collection_id, url_key";

/// What a group shows: for each collection the effective URLs.
pub async fn by_group(
    db: &Db,
    account_id: AccountId,
    group_id: CollectionId,
) -> Result<BTreeMap<CollectionId, Vec<String>>, Error> {
    let mut found: BTreeMap<CollectionId, Vec<String>> = BTreeMap::new();
    for row in db.fetch_all(SELECT_BY_GROUP, args![account_id, group_id]).await? {
        found.entry(row.get("collection_id")?).or_default().push(row.get("url_key")?);
    }
    Ok(found)
}

const SELECT_SHOWING: &str = "SELECT group_id FROM group_members \
     WHERE account_id = $1 AND collection_id = $2 AND url_key = $3 ORDER BY group_id";

/// The groups that show one effective URL.
pub async fn showing(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
) -> Result<Vec<CollectionId>, Error> {
    let rows = db.fetch_all(SELECT_SHOWING, args![account_id, collection_id, url_key]).await?;
    rows.iter().map(|row| row.get("group_id")).collect()
}

const SELECT_OWNERS: &str = "SELECT collection_id FROM group_members \
     WHERE account_id = $1 AND group_id = $2 AND url_key = $3 ORDER BY collection_id";

/// The collections whose endpoint with this effective URL a group shows.
pub async fn owners(
    db: &Db,
    account_id: AccountId,
    group_id: CollectionId,
    url_key: &str,
) -> Result<Vec<CollectionId>, Error> {
    let rows = db.fetch_all(SELECT_OWNERS, args![account_id, group_id, url_key]).await?;
    rows.iter().map(|row| row.get("collection_id")).collect()
}

const COUNT: &str = "SELECT g.group_id, g.collection_id, count(*) AS members FROM group_members g \
     WHERE g.account_id = $1 {granting} GROUP BY g.group_id, g.collection_id";

/// How many endpoints each group shows of each collection, of all or of those that one of the `granting` groups shows.
pub async fn counts(
    db: &Db,
    account_id: AccountId,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<OfGroup<i64>>, Error> {
    let rows = db.fetch_all(shown_by_any(COUNT, "g", granting), args![account_id]).await?;
    rows.iter().map(|row| of_group(row, "members")).collect()
}

/// Restricts a statement to the endpoints that one of some groups shows, when groups are given.
pub(super) fn shown_by_any(sql: &str, table: &str, granting: Option<&[CollectionId]>) -> Sql {
    let Some(granting) = granting else { return Sql::assembled(sql.replace("{granting}", "")) };
    if granting.is_empty() {
        return Sql::assembled(sql.replace("{granting}", "AND 1 = 0"));
    }
    // Numbers of this program's own need no markers.
    let ids: Vec<String> = granting.iter().map(ToString::to_string).collect();
    let condition = format!(
        "AND EXISTS (SELECT 1 FROM group_members s WHERE s.account_id = {table}.account_id \
         AND s.collection_id = {table}.collection_id AND s.url_key = {table}.url_key AND s.group_id IN ({}))",
        ids.join(", ")
    );
    Sql::assembled(sql.replace("{granting}", &condition))
}

pub(super) fn of_group(row: &Row, column: &str) -> Result<OfGroup<i64>, Error> {
    Ok(OfGroup { group_id: row.get("group_id")?, owner_id: row.get("collection_id")?, value: row.get(column)? })
}

static INSERT: Bulk<4> = Bulk::new(
    "INSERT INTO group_members (account_id, group_id, collection_id, url_key)",
    "ON CONFLICT (account_id, group_id, collection_id, url_key) DO NOTHING",
);

pub async fn insert(tx: &mut Tx, rows: Vec<[Value; 4]>) -> Result<(), Error> {
    tx.bulk(&INSERT, rows).await.map(drop)
}

const DELETE: &str = "DELETE FROM group_members \
     WHERE account_id = $1 AND collection_id = $2 AND group_id = $3 AND url_key IN ({keys})";

pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    group_id: CollectionId,
    url_keys: &[&str],
) -> Result<(), Error> {
    for keys in url_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(DELETE, 4, keys);
        let mut arguments = args![account_id, collection_id, group_id];
        arguments.extend(keys);
        tx.execute(sql, arguments).await?;
    }
    Ok(())
}

const DELETE_SOME: &str = "DELETE FROM group_members WHERE account_id = $1 AND group_id = $2 \
     AND (collection_id, url_key) IN (SELECT collection_id, url_key FROM group_members \
         WHERE account_id = $1 AND group_id = $2 ORDER BY collection_id, url_key LIMIT $3)";

/// Removes some of what a deleted group showed.
pub async fn delete_some_members(
    tx: &mut Tx,
    account_id: AccountId,
    group_id: CollectionId,
    limit: i64,
) -> Result<u64, Error> {
    tx.execute(DELETE_SOME, args![account_id, group_id, limit]).await
}

const COUNT_BY_GROUP: &str = "SELECT group_id, count(*) AS members FROM group_members \
     WHERE account_id = $1 AND collection_id = $2 GROUP BY group_id";

const DELETE_BY_COLLECTION: &str = "DELETE FROM group_members WHERE account_id = $1 AND collection_id = $2";

/// Takes all endpoints of a collection out of every group and returns how many each has lost.
pub async fn delete_collection(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<BTreeMap<CollectionId, i64>, Error> {
    let mut lost = BTreeMap::new();
    for row in tx.fetch_all(COUNT_BY_GROUP, args![account_id, collection_id]).await? {
        lost.insert(row.get("group_id")?, row.get("members")?);
    }
    tx.execute(DELETE_BY_COLLECTION, args![account_id, collection_id]).await?;
    Ok(lost)
}
