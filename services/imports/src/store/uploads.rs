use portolan_formats::openapi::ImportError;
use portolan_ids::{AccountId, CollectionId, UploadId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args, retrying};

use crate::model::uploads::{Group, Ingested, Operation, Upload, UploadKind, UploadStatus};

/// Records per page: at 5 MiB each they stay below what a converted document may take.
const RECORDS_PAGE: i64 = 32;

const INSERT_UPLOAD: &str = "
INSERT INTO uploads (account_id, upload_id, status, collection_id, collection_name, total, clean, parsed_with_errors,
    refused, errors, ingested, created_at, kind, workspace_id, user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (account_id, upload_id) DO NOTHING";

static INSERT_OPERATIONS: Bulk<10> = Bulk::new(
    "INSERT INTO upload_operations (account_id, upload_id, position, url, method, importable, record, errors, \
     group_id, name)",
    "",
);

const INSERT_GROUP: &str = "
INSERT INTO upload_groups (account_id, upload_id, group_id, name, errors, collection_id)
VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT DO NOTHING";

/// Keeps an upload with its groups and operations; one that is kept already stays as it is.
pub async fn insert(db: &Db, upload: &Upload, groups: &[Group], operations: &[Operation]) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        if insert_upload(&mut tx, upload).await? {
            for group in groups {
                insert_group(&mut tx, upload, group).await?;
            }
            insert_operations(&mut tx, upload, 0, operations).await?;
        }
        tx.commit().await
    })
    .await
}

/// False when it is kept already.
pub async fn insert_upload(tx: &mut Tx, upload: &Upload) -> Result<bool, Error> {
    let inserted = tx
        .execute(
            INSERT_UPLOAD,
            args![
                upload.account_id,
                &upload.upload_id,
                upload.status.name(),
                upload.collection_id,
                &upload.collection_name,
                upload.total,
                upload.clean,
                upload.parsed_with_errors,
                upload.refused,
                errors_json(&upload.errors),
                ingested_name(upload.ingested),
                upload.created_at,
                upload.kind.name(),
                &upload.workspace_id,
                upload.user_id
            ],
        )
        .await?;
    Ok(inserted == 1)
}

async fn insert_group(tx: &mut Tx, upload: &Upload, group: &Group) -> Result<bool, Error> {
    let errors = errors_json(&group.errors);
    let args = args![upload.account_id, &upload.upload_id, &group.group_id, &group.name, errors];
    Ok(tx.execute(INSERT_GROUP, args).await? == 1)
}

async fn insert_operations(tx: &mut Tx, upload: &Upload, first: usize, operations: &[Operation]) -> Result<(), Error> {
    // One statement's rows at a time: their texts are copied for the driver.
    for (page, part) in operations.chunks(OPERATIONS_PAGE).enumerate() {
        let rows = part.iter().enumerate().map(|(index, operation)| {
            let position = i64::try_from(first + page * OPERATIONS_PAGE + index).unwrap_or(i64::MAX);
            operation_row(upload, position, operation)
        });
        tx.bulk(&INSERT_OPERATIONS, rows).await?;
    }
    Ok(())
}

const NEXT_POSITION: &str = "
SELECT coalesce(max(position), -1) + 1 AS n FROM upload_operations WHERE account_id = $1 AND upload_id = $2";

/// Adds a group with its operations to an upload; one that is there already stays as it is.
pub async fn add_group(tx: &mut Tx, upload: &Upload, group: &Group, operations: &[Operation]) -> Result<(), Error> {
    if insert_group(tx, upload, group).await? {
        let first: i64 = tx.fetch_one(NEXT_POSITION, args![upload.account_id, &upload.upload_id]).await?.get("n")?;
        insert_operations(tx, upload, usize::try_from(first).unwrap_or(0), operations).await?;
    }
    Ok(())
}

const GROUPS: &str = "
SELECT group_id, name, errors, collection_id FROM upload_groups
WHERE account_id = $1 AND upload_id = $2 ORDER BY name, group_id";

/// The groups of an upload by name.
pub async fn groups(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<Vec<Group>, Error> {
    let rows = db.fetch_all(GROUPS, args![account_id, upload_id]).await?;
    let group = |row: &Row| {
        Ok(Group {
            group_id: row.get("group_id")?,
            name: row.get("name")?,
            errors: parse_errors(&row.get::<String>("errors")?)?,
            collection_id: row.get("collection_id")?,
            has_info: true,
        })
    };
    rows.iter().map(group).collect()
}

const SET_GROUP_COLLECTION: &str = "
UPDATE upload_groups SET collection_id = $4 WHERE account_id = $1 AND upload_id = $2 AND group_id = $3";

pub async fn set_group_collection(
    db: &Db,
    account_id: AccountId,
    upload_id: &UploadId,
    group_id: &str,
    collection_id: CollectionId,
) -> Result<(), Error> {
    let args = || args![account_id, upload_id, group_id, collection_id];
    retrying(|| async { db.execute(SET_GROUP_COLLECTION, args()).await.map(drop) }).await
}

const SUM_UP: &str = "
UPDATE uploads SET status = 'SUCCEEDED',
    total = (SELECT count(*) FROM upload_operations o WHERE o.account_id = $1 AND o.upload_id = $2),
    clean = (SELECT count(*) FROM upload_operations o
        WHERE o.account_id = $1 AND o.upload_id = $2 AND o.importable = 1 AND o.errors = '[]'),
    parsed_with_errors = (SELECT count(*) FROM upload_operations o
        WHERE o.account_id = $1 AND o.upload_id = $2 AND o.importable = 1 AND o.errors <> '[]'),
    refused = (SELECT count(*) FROM upload_operations o
        WHERE o.account_id = $1 AND o.upload_id = $2 AND o.importable = 0)
WHERE account_id = $1 AND upload_id = $2";

/// Counts the operations of an upload, which is then ready for review.
pub async fn sum_up(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<(), Error> {
    let args = || args![account_id, upload_id];
    retrying(|| async { db.execute(SUM_UP, args()).await.map(drop) }).await
}

const FAIL_OPEN: &str = "
UPDATE uploads SET status = 'FAILED', fatal_error = $3
WHERE account_id = $1 AND upload_id = $2 AND status = 'IN_PROGRESS'";

/// Marks an upload as failed that is still in progress.
pub async fn fail_open(tx: &mut Tx, account_id: AccountId, upload_id: &UploadId, reason: &str) -> Result<(), Error> {
    tx.execute(FAIL_OPEN, args![account_id, upload_id, reason]).await.map(drop)
}

const OPERATIONS_PAGE: usize = 64;

fn operation_row(upload: &Upload, position: i64, operation: &Operation) -> [Value; 10] {
    [
        upload.account_id.into(),
        (&upload.upload_id).into(),
        position.into(),
        (&operation.url).into(),
        (&operation.method).into(),
        operation.importable.into(),
        operation.record.clone().into(),
        errors_json(&operation.errors).into(),
        (&operation.group_id).into(),
        (&operation.name).into(),
    ]
}

const GET_UPLOAD: &str = "SELECT * FROM uploads WHERE account_id = $1 AND upload_id = $2 AND deleted = 0";

pub async fn get(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<Option<Upload>, Error> {
    // No upload has such an id, and no database takes it.
    if upload_id.as_str().contains('\0') {
        return Ok(None);
    }
    let row = db.fetch_optional(GET_UPLOAD, args![account_id, upload_id]).await?;
    row.map(|row| upload(&row)).transpose()
}

const LIST_WITH_ERRORS: &str = "
SELECT group_id, name, url, method, importable, NULL AS record, errors FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND errors <> '[]' ORDER BY position";

/// Operations that have errors, without their records.
pub async fn list_with_errors(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<Vec<Operation>, Error> {
    let rows = db.fetch_all(LIST_WITH_ERRORS, args![account_id, upload_id]).await?;
    rows.iter().map(operation).collect()
}

fn operation(row: &Row) -> Result<Operation, Error> {
    Ok(Operation {
        group_id: row.get("group_id")?,
        name: row.get("name")?,
        url: row.get("url")?,
        method: row.get("method")?,
        importable: row.get("importable")?,
        record: row.get("record")?,
        errors: parse_errors(&row.get::<String>("errors")?)?,
    })
}

const LIST_FIRST: &str = "
SELECT group_id, name, url, method, importable, record, errors FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND position >= $3 ORDER BY position LIMIT $4";

/// Operations that are listed with their records, and the bytes that these may take.
const FIRST_MAX: usize = 1_000;
const FIRST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The first operations with their records, while there is room.
pub async fn list_first(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<Vec<Operation>, Error> {
    let (mut listed, mut bytes) = (Vec::new(), 0);
    while listed.len() < FIRST_MAX {
        let from = i64::try_from(listed.len()).unwrap_or(i64::MAX);
        let page = db.fetch_all(LIST_FIRST, args![account_id, upload_id, from, RECORDS_PAGE]).await?;
        for row in &page {
            let operation = operation(row)?;
            bytes += operation.record.as_ref().map_or(0, String::len);
            if bytes > FIRST_BYTES_MAX {
                return Ok(listed);
            }
            listed.push(operation);
        }
        if page.is_empty() {
            break;
        }
    }
    listed.truncate(FIRST_MAX);
    Ok(listed)
}

const LIST_CLEAN_RECORDS: &str = "
SELECT position, record FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND group_id = $5 AND position > $3 AND record IS NOT NULL AND errors = '[]'
ORDER BY position LIMIT $4";

const LIST_RECORDS_WITH_ERRORS: &str = "
SELECT position, record FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND group_id = $5 AND position > $3 AND record IS NOT NULL AND errors <> '[]'
ORDER BY position LIMIT $4";

/// A page of records after a position, with or without errors, each with its position.
pub async fn list_records(
    db: &Db,
    account_id: AccountId,
    upload_id: &UploadId,
    group_id: &str,
    with_errors: bool,
    after: i64,
) -> Result<Vec<(i64, String)>, Error> {
    let statement = if with_errors { LIST_RECORDS_WITH_ERRORS } else { LIST_CLEAN_RECORDS };
    let rows = db.fetch_all(statement, args![account_id, upload_id, after, RECORDS_PAGE, group_id]).await?;
    rows.iter().map(|row| Ok((row.get("position")?, row.get("record")?))).collect()
}

/// An approval of fewer operations that ends later must not undo one of more.
const FINISH_UPLOAD: &str = "
UPDATE uploads SET status = 'SUCCEEDED', collection_id = $3,
    ingested = CASE WHEN ingested = 'ALL' THEN ingested ELSE $4 END
WHERE account_id = $1 AND upload_id = $2";

/// Marks what of an upload was ingested, and where.
pub async fn finish(
    db: &Db,
    account_id: AccountId,
    upload_id: &UploadId,
    collection_id: CollectionId,
    ingested: Ingested,
) -> Result<(), Error> {
    let args = || args![account_id, upload_id, collection_id, ingested_name(ingested)];
    retrying(|| async { db.execute(FINISH_UPLOAD, args()).await.map(drop) }).await
}

fn upload(row: &Row) -> Result<Upload, Error> {
    Ok(Upload {
        account_id: row.get("account_id")?,
        user_id: row.get("user_id")?,
        upload_id: row.get("upload_id")?,
        kind: parse_kind(&row.get::<String>("kind")?)?,
        workspace_id: row.get("workspace_id")?,
        fatal_error: row.get("fatal_error")?,
        status: match row.get::<String>("status")?.as_str() {
            "IN_PROGRESS" => UploadStatus::InProgress,
            "SUCCEEDED" => UploadStatus::Succeeded,
            "FAILED" => UploadStatus::Failed,
            other => return Err(Error::Inconsistency(format!("upload status {other}"))),
        },
        collection_id: row.get("collection_id")?,
        collection_name: row.get("collection_name")?,
        total: row.get("total")?,
        clean: row.get("clean")?,
        parsed_with_errors: row.get("parsed_with_errors")?,
        refused: row.get("refused")?,
        errors: parse_errors(&row.get::<String>("errors")?)?,
        ingested: match row.get::<String>("ingested")?.as_str() {
            "NONE" => Ingested::None,
            "SUCCESSFUL" => Ingested::Successful,
            "ALL" => Ingested::All,
            other => return Err(Error::Inconsistency(format!("ingested part {other}"))),
        },
        created_at: row.get("created_at")?,
    })
}

fn parse_kind(name: &str) -> Result<UploadKind, Error> {
    let found = UploadKind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| Error::Inconsistency(format!("upload kind {name}")))
}

fn ingested_name(ingested: Ingested) -> &'static str {
    match ingested {
        Ingested::None => "NONE",
        Ingested::Successful => "SUCCESSFUL",
        Ingested::All => "ALL",
    }
}

fn errors_json(errors: &[ImportError]) -> String {
    serde_json::to_string(errors).expect("texts always serialize")
}

fn parse_errors(json: &str) -> Result<Vec<ImportError>, Error> {
    serde_json::from_str(json).map_err(|error| Error::Inconsistency(format!("errors of an upload: {error}")))
}

const MARK_DELETED: &str = "UPDATE uploads SET deleted = 1 WHERE account_id = $1 AND upload_id = $2";

pub async fn mark_deleted(tx: &mut Tx, account_id: AccountId, upload_id: &UploadId) -> Result<(), Error> {
    tx.execute(MARK_DELETED, args![account_id, upload_id]).await.map(drop)
}

const DELETE_OPERATIONS: &str = "
DELETE FROM upload_operations WHERE account_id = $1 AND upload_id = $2 AND position IN (
    SELECT position FROM upload_operations WHERE account_id = $1 AND upload_id = $2 LIMIT 1000)";
const DELETE_GROUPS: &str = "DELETE FROM upload_groups WHERE account_id = $1 AND upload_id = $2";
const DELETE_UPLOAD: &str = "DELETE FROM uploads WHERE account_id = $1 AND upload_id = $2";

/// Removes some operations of an upload; when none is left, its groups and the upload itself. Returns how many
/// operations went.
pub async fn delete_some(tx: &mut Tx, account_id: AccountId, upload_id: &UploadId) -> Result<u64, Error> {
    let args = || args![account_id, upload_id];
    let removed = tx.execute(DELETE_OPERATIONS, args()).await?;
    if removed == 0 {
        for statement in [DELETE_GROUPS, DELETE_UPLOAD] {
            tx.execute(statement, args()).await?;
        }
    }
    Ok(removed)
}

/// Removes an upload with all that belongs to it, some rows at a time.
pub async fn delete(db: &Db, account_id: AccountId, upload_id: &UploadId) -> Result<(), Error> {
    loop {
        let removed = retrying(|| async {
            let mut tx = db.begin().await?;
            let removed = delete_some(&mut tx, account_id, upload_id).await?;
            tx.commit().await?;
            Ok::<_, Error>(removed)
        });
        if removed.await? == 0 {
            return Ok(());
        }
    }
}

const OF_COLLECTION: &str = "
SELECT upload_id FROM uploads WHERE account_id = $1 AND collection_id = $2
UNION SELECT upload_id FROM upload_groups WHERE account_id = $1 AND collection_id = $2";

/// The uploads that were ingested into a collection, wholly or in part.
pub async fn of_collection(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<UploadId>, Error> {
    let rows = db.fetch_all(OF_COLLECTION, args![account_id, collection_id]).await?;
    rows.iter().map(|row| row.get("upload_id")).collect()
}

const FORGET_RECORDS: &str = "
UPDATE upload_operations SET record = NULL WHERE account_id = $1 AND upload_id = $2 AND record IS NOT NULL
AND (NOT EXISTS (SELECT 1 FROM upload_groups g WHERE g.account_id = $1 AND g.upload_id = $2)
    OR group_id IN (SELECT g.group_id FROM upload_groups g
        WHERE g.account_id = $1 AND g.upload_id = $2 AND g.collection_id = $3))";

/// Removes the records that an upload holds for a collection.
pub async fn forget_records(
    db: &Db,
    account_id: AccountId,
    upload_id: &UploadId,
    collection_id: CollectionId,
) -> Result<(), Error> {
    let args = || args![account_id, upload_id, collection_id];
    retrying(|| async { db.execute(FORGET_RECORDS, args()).await.map(drop) }).await
}

const DELETE_GROUP_OPERATIONS: &str = "
DELETE FROM upload_operations WHERE account_id = $1 AND upload_id = $2 AND group_id IN (
    SELECT g.group_id FROM upload_groups g
    WHERE g.account_id = $1 AND g.upload_id = $2 AND g.collection_id = $3)";
const DELETE_GROUPS_OF: &str = "
DELETE FROM upload_groups WHERE account_id = $1 AND upload_id = $2 AND collection_id = $3";
const COUNT_GROUPS: &str = "SELECT count(*) AS n FROM upload_groups WHERE account_id = $1 AND upload_id = $2";

/// Removes what an upload holds of a deleted collection: the whole upload, unless other collections have a part in it.
pub async fn delete_of_collection(
    db: &Db,
    account_id: AccountId,
    upload_id: &UploadId,
    collection_id: CollectionId,
) -> Result<(), Error> {
    let args = || args![account_id, upload_id, collection_id];
    retrying(|| async {
        let mut tx = db.begin().await?;
        tx.execute(DELETE_GROUP_OPERATIONS, args()).await?;
        tx.execute(DELETE_GROUPS_OF, args()).await?;
        tx.commit().await
    })
    .await?;
    if db.fetch_one(COUNT_GROUPS, args![account_id, upload_id]).await?.get::<i64>("n")? == 0 {
        delete(db, account_id, upload_id).await?;
    }
    Ok(())
}

const OLD_UPLOADS: &str = "
SELECT account_id, upload_id FROM uploads WHERE created_at < $1 AND status <> 'IN_PROGRESS' LIMIT 100";

/// Uploads that were made before a time.
pub async fn older_than(db: &Db, time: i64) -> Result<Vec<(AccountId, UploadId)>, Error> {
    let rows = db.fetch_all(OLD_UPLOADS, args![time]).await?;
    rows.iter().map(|row| Ok((row.get("account_id")?, row.get("upload_id")?))).collect()
}
