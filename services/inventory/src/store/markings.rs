use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::model::{
    keys,
    markings::{Marked, ParameterId},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT collection_id, url_key, url, method, response_code, is_header, name, sensitive ",
            "FROM markings WHERE account_id = $1 ",
            $rest
        )
    };
}

/// Marks of one answer: more than anybody sets by hand.
const MARKINGS_MAX: i64 = 100_000;

const SELECT_ALL: &str = select!("ORDER BY collection_id, marking_key LIMIT $2");

pub async fn list(db: &Db, account_id: AccountId) -> Result<Vec<Marked>, Error> {
    db.fetch_all(SELECT_ALL, args![account_id, MARKINGS_MAX]).await?.iter().map(read).collect()
}

const SELECT_OF_COLLECTION: &str = select!("AND collection_id = $3 ORDER BY marking_key LIMIT $2");

pub async fn of_collection(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Vec<Marked>, Error> {
    let rows = db.fetch_all(SELECT_OF_COLLECTION, args![account_id, MARKINGS_MAX, collection_id]).await?;
    rows.iter().map(read).collect()
}

const COUNT_KNOWN: &str = "SELECT count(*) AS known FROM markings \
     WHERE account_id = $1 AND collection_id = $2 AND marking_key = $3";

/// Whether the place has a mark.
pub async fn is_known(tx: &mut Tx, account_id: AccountId, place: &ParameterId) -> Result<bool, Error> {
    let row = tx.fetch_one(COUNT_KNOWN, args![account_id, place.collection_id, marking_key(place)]).await?;
    Ok(row.get::<i64>("known")? > 0)
}

static SAVE: Bulk<11> = Bulk::new(
    "INSERT INTO markings (account_id, collection_id, marking_key, url_key, url, method, response_code, \
     is_header, name, sensitive, marked_at)",
    "ON CONFLICT (account_id, collection_id, marking_key) DO UPDATE SET sensitive = excluded.sensitive, \
     marked_at = excluded.marked_at",
);

/// Writes marks; no place stands there twice.
pub async fn save(
    tx: &mut Tx,
    account_id: AccountId,
    places: &[ParameterId],
    sensitive: bool,
    now: i64,
) -> Result<(), Error> {
    let rows = places.iter().map(|place| row(account_id, place, sensitive, now));
    tx.bulk(&SAVE, rows.collect::<Vec<[Value; 11]>>()).await.map(drop)
}

const SELECT_OF_URLS: &str = "SELECT collection_id, url_key, url, method, response_code, is_header, name, sensitive, \
     marked_at FROM markings WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys}) \
     ORDER BY marking_key";

/// The marks at these effective URLs, with when they were set.
pub async fn of_urls(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<Vec<(Marked, i64)>, Error> {
    let rows = super::by_keys(tx, SELECT_OF_URLS, account_id, collection_id, url_keys).await?;
    rows.iter().map(|row| Ok((read(row)?, row.get("marked_at")?))).collect()
}

// Of two marks of one place, the one that hides more counts.
static ADD: Bulk<11> = Bulk::new(
    "INSERT INTO markings (account_id, collection_id, marking_key, url_key, url, method, response_code, \
     is_header, name, sensitive, marked_at)",
    "ON CONFLICT (account_id, collection_id, marking_key) DO UPDATE SET \
     sensitive = CASE WHEN excluded.sensitive = 1 THEN 1 ELSE markings.sensitive END",
);

/// Adds marks to those that are there; no place stands there twice.
pub async fn add(tx: &mut Tx, account_id: AccountId, marks: &[(ParameterId, bool, i64)]) -> Result<(), Error> {
    let rows = marks.iter().map(|(place, sensitive, marked_at)| row(account_id, place, *sensitive, *marked_at));
    tx.bulk(&ADD, rows.collect::<Vec<[Value; 11]>>()).await.map(drop)
}

const DELETE_OF_URLS: &str =
    "DELETE FROM markings WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys})";

pub async fn delete_of_urls(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE_OF_URLS, account_id, collection_id, keys).await
}

const DELETE: &str = "DELETE FROM markings WHERE account_id = $1 AND collection_id = $2 AND marking_key = $3";

pub async fn delete(db: &Db, account_id: AccountId, place: &ParameterId) -> Result<(), Error> {
    db.execute(DELETE, args![account_id, place.collection_id, marking_key(place)]).await.map(drop)
}

fn row(account_id: AccountId, place: &ParameterId, sensitive: bool, marked_at: i64) -> [Value; 11] {
    [
        account_id.into(),
        place.collection_id.into(),
        marking_key(place).into(),
        place.url_key().into(),
        (&place.url).into(),
        (&place.method).into(),
        place.response_code.into(),
        place.is_header.into(),
        (&place.name).into(),
        sensitive.into(),
        marked_at.into(),
    ]
}

fn marking_key(place: &ParameterId) -> String {
    let code = place.response_code.to_le_bytes();
    keys::digest([place.url_key().as_bytes(), &code, &[u8::from(place.is_header)], place.name.as_bytes()])
}

fn read(row: &Row) -> Result<Marked, Error> {
    let code = row.get::<i64>("response_code")?;
    Ok(Marked {
        place: ParameterId {
            collection_id: row.get("collection_id")?,
            url: row.get("url")?,
            method: row.get("method")?,
            response_code: i32::try_from(code).map_err(|_| Error::Inconsistency(format!("{code} is too large")))?,
            is_header: row.get("is_header")?,
            name: row.get("name")?,
        },
        url_key: row.get("url_key")?,
        sensitive: row.get("sensitive")?,
    })
}
