use portolan_formats::openapi::ImportError;
use portolan_store::{Bulk, Db, Error, Row, Value, args, retrying};

use crate::uploads::{Ingested, Operation, Upload, UploadStatus};

/// Records per page: at 5 MiB each they stay below what a converted document may take.
const RECORDS_PAGE: i64 = 32;

const INSERT_UPLOAD: &str = "
INSERT INTO uploads (account_id, upload_id, status, collection_id, collection_name, total, clean, parsed_with_errors,
    refused, errors, ingested, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (account_id, upload_id) DO NOTHING";

static INSERT_OPERATIONS: Bulk<8> = Bulk::new(
    "INSERT INTO upload_operations (account_id, upload_id, position, url, method, importable, record, errors)",
    "",
);

/// Keeps an upload with its operations; one that is kept already stays as it is.
pub async fn insert(db: &Db, upload: &Upload, operations: &[Operation]) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let inserted = tx
            .execute(
                INSERT_UPLOAD,
                args![
                    upload.account_id,
                    &upload.upload_id,
                    status_name(upload.status),
                    upload.collection_id,
                    &upload.collection_name,
                    upload.total,
                    upload.clean,
                    upload.parsed_with_errors,
                    upload.refused,
                    errors_json(&upload.errors),
                    ingested_name(upload.ingested),
                    upload.created_at
                ],
            )
            .await?;
        if inserted == 1 {
            // One statement's rows at a time: their texts are copied for the driver.
            for (page, part) in operations.chunks(OPERATIONS_PAGE).enumerate() {
                let rows = part.iter().enumerate().map(|(index, operation)| {
                    let position = i64::try_from(page * OPERATIONS_PAGE + index).unwrap_or(i64::MAX);
                    operation_row(upload, position, operation)
                });
                tx.bulk(&INSERT_OPERATIONS, rows).await?;
            }
        }
        tx.commit().await
    })
    .await
}

const OPERATIONS_PAGE: usize = 64;

fn operation_row(upload: &Upload, position: i64, operation: &Operation) -> [Value; 8] {
    [
        upload.account_id.into(),
        (&upload.upload_id).into(),
        position.into(),
        (&operation.url).into(),
        (&operation.method).into(),
        operation.importable.into(),
        operation.record.clone().into(),
        errors_json(&operation.errors).into(),
    ]
}

const GET_UPLOAD: &str = "SELECT * FROM uploads WHERE account_id = $1 AND upload_id = $2";

pub async fn get(db: &Db, account_id: i64, upload_id: &str) -> Result<Option<Upload>, Error> {
    // No upload has such an id, and no database takes it.
    if upload_id.contains('\0') {
        return Ok(None);
    }
    let row = db.fetch_optional(GET_UPLOAD, args![account_id, upload_id]).await?;
    row.map(|row| upload(&row)).transpose()
}

const LIST_WITH_ERRORS: &str = "
SELECT url, method, importable, errors FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND errors <> '[]' ORDER BY position";

/// Operations that have errors, without their records.
pub async fn list_with_errors(db: &Db, account_id: i64, upload_id: &str) -> Result<Vec<Operation>, Error> {
    let rows = db.fetch_all(LIST_WITH_ERRORS, args![account_id, upload_id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Operation {
                url: row.get("url")?,
                method: row.get("method")?,
                importable: row.get("importable")?,
                record: None,
                errors: parse_errors(&row.get::<String>("errors")?)?,
            })
        })
        .collect()
}

const LIST_CLEAN_RECORDS: &str = "
SELECT position, record FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND position > $3 AND record IS NOT NULL AND errors = '[]'
ORDER BY position LIMIT $4";

const LIST_RECORDS_WITH_ERRORS: &str = "
SELECT position, record FROM upload_operations
WHERE account_id = $1 AND upload_id = $2 AND position > $3 AND record IS NOT NULL AND errors <> '[]'
ORDER BY position LIMIT $4";

/// A page of records after a position, with or without errors, each with its position.
pub async fn list_records(
    db: &Db,
    account_id: i64,
    upload_id: &str,
    with_errors: bool,
    after: i64,
) -> Result<Vec<(i64, String)>, Error> {
    let statement = if with_errors { LIST_RECORDS_WITH_ERRORS } else { LIST_CLEAN_RECORDS };
    let rows = db.fetch_all(statement, args![account_id, upload_id, after, RECORDS_PAGE]).await?;
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
    account_id: i64,
    upload_id: &str,
    collection_id: i32,
    ingested: Ingested,
) -> Result<(), Error> {
    let args = || args![account_id, upload_id, collection_id, ingested_name(ingested)];
    retrying(|| async { db.execute(FINISH_UPLOAD, args()).await.map(drop) }).await
}

fn upload(row: &Row) -> Result<Upload, Error> {
    Ok(Upload {
        account_id: row.get("account_id")?,
        upload_id: row.get("upload_id")?,
        status: match row.get::<String>("status")?.as_str() {
            "IN_PROGRESS" => UploadStatus::InProgress,
            "SUCCEEDED" => UploadStatus::Succeeded,
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

fn status_name(status: UploadStatus) -> &'static str {
    match status {
        UploadStatus::InProgress => "IN_PROGRESS",
        UploadStatus::Succeeded => "SUCCEEDED",
    }
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
