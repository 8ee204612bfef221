//! The API platform: a vendor's collections and endpoints, in a customer workspace or in its own account.

use std::{collections::HashMap, time::Duration};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::template::SplitUrl;
use portolan_formats::{Target, openapi::Document};
use portolan_ids::{AccountId, CollectionId};
use portolan_log::{Message, Positions};
use portolan_outbox::Change;
use portolan_record::Source;
use portolan_runtime::now_s;
use portolan_store::retrying;
use serde_json::json;

use crate::{
    Deps, Error, access, collections, ingest,
    model::{
        collections::{Collection, CollectionName},
        text,
    },
    peers, store,
    store::{
        platform as rows,
        platform::{EndpointRow, PlatformRow},
    },
};

/// Entries of one page at most, and by default.
const PER_PAGE_MAX: i32 = 100;

/// Longest text of a project id.
const TEXT_CHARACTERS_MAX: usize = 255;

/// Largest document of a creation.
const DOCUMENT_BYTES_MAX: usize = 2 << 20;

/// A creation waits this long for its endpoints to be in the inventory.
const WAIT: Duration = Duration::from_secs(10);

/// Bytes of records appended at once.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Failed operations that are named.
const FAILURES_MAX: usize = 100;

const FIRST_VERSION: &str = "1.0";

/// A collection as the platform shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatformCollection {
    /// The collection.
    pub collection: Collection,
    /// What the platform adds to it.
    pub row: PlatformRow,
}

/// What an import of a document brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many operations the document has.
    pub total: usize,
    /// What is wrong with those that were not taken.
    pub failures: Vec<String>,
    /// How many were not taken.
    pub failed: usize,
}

/// The caller as an ADMIN of a workspace; of the own account without an id. Counts one call of the caller's account.
///
/// # Errors
/// `RATE_LIMITED`;
/// `MANAGED_USER_NOT_FOUND` unless the workspace belongs to the caller's account, and for a caller without authority over
/// the organization.
pub async fn act_in(deps: &Deps, caller: &Caller, managed_user_id: &str) -> Result<Caller, Error> {
    deps.management.count(caller.account_id).await?;
    if managed_user_id.is_empty() {
        return Ok(caller.clone());
    }
    if !caller.grant.administers_organization() {
        return Err(Reason::ManagedUserNotFound.into());
    }
    let account_id = peers::workspace(&deps.peers, caller.account_id, managed_user_id).await?;
    Ok(Caller { account_id, ..caller.clone() })
}

/// A page of the collections.
///
/// # Errors
/// `VALIDATION_FAILED` for a page out of range.
pub async fn list_collections(
    deps: &Deps,
    caller: &Caller,
    page: Option<i32>,
    per_page: Option<i32>,
) -> Result<Vec<PlatformCollection>, Error> {
    let (skip, take) = window(page, per_page)?;
    let mut known: HashMap<CollectionId, PlatformRow> =
        rows::list(&deps.db, caller.account_id).await?.into_iter().collect();
    let visible = collections::list(deps, caller).await?;
    let mut page: Vec<_> = visible
        .into_iter()
        .skip(skip)
        .take(take)
        .map(|collection| {
            let row = known.remove(&collection.id).unwrap_or_else(|| PlatformRow::of(&collection));
            PlatformCollection { collection, row }
        })
        .collect();
    let is_unplaced = |one: &PlatformCollection| one.row.url.is_none() && one.collection.host_name.is_none();
    let ids: Vec<_> = page.iter().filter(|one| is_unplaced(one)).map(|one| one.collection.id).collect();
    let urls = rows::first_urls(&deps.db, caller.account_id, &ids).await?;
    for PlatformCollection { collection, row } in &mut page {
        if let Some(url) = urls.get(&collection.id) {
            row.url = Some(SplitUrl::new(url).origin.to_owned()).filter(|origin| !origin.is_empty());
        }
    }
    Ok(page)
}

/// Makes a collection and fills it from a document.
///
/// # Errors
/// `VALIDATION_FAILED` with the fields at fault, `COLLECTION_NAME_…`. Then nothing is made.
pub async fn create_collection(
    deps: &Deps,
    caller: &Caller,
    name: Option<String>,
    project_id: Option<String>,
    document: Option<String>,
) -> Result<(PlatformCollection, Option<Imported>), Error> {
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = CollectionName::parse(Some(name.ok_or_else(|| fault("name", "can't be blank"))?))?;
    if let Some(project_id) = &project_id {
        text::no_nul("project_id", project_id)?;
        if project_id.chars().count() > TEXT_CHARACTERS_MAX {
            return Err(fault("project_id", "is too long"));
        }
    }
    let document = match document.filter(|text| !text.trim().is_empty()) {
        Some(text) if text.len() > DOCUMENT_BYTES_MAX => return Err(fault("openapi_spec", "is too large")),
        Some(text) => {
            let parsed =
                portolan_runtime::in_background_from(text.len(), move || Document::parse(text.as_bytes())).await;
            let parsed = parsed.map_err(|error| Error::Internal(error.to_string()))?;
            Some(parsed.map_err(|error| fault("openapi_spec", &error.to_string()))?)
        }
        None => None,
    };
    let collection = collections::create(deps, caller, name).await?;
    let url = document.as_ref().and_then(Document::server);
    let row = PlatformRow { project_id, version: FIRST_VERSION.to_owned(), url, updated_at: collection.created_at };
    retrying(|| rows::save(&deps.db, caller.account_id, collection.id, &row)).await?;
    let imported = match document {
        Some(document) => Some(import(deps, caller.account_id, collection.id, document).await?),
        None => None,
    };
    Ok((PlatformCollection { collection, row }, imported))
}

/// Appends a document's operations to the log and waits until they are in the inventory.
async fn import(
    deps: &Deps,
    account_id: AccountId,
    collection_id: CollectionId,
    document: Document,
) -> Result<Imported, Error> {
    let target = Target {
        account_id: account_id.into(),
        collection_id: collection_id.get().into(),
        time: now_s(),
        source: Source::OpenApi,
    };
    let converted = portolan_runtime::in_background(move || {
        let mut imported = Imported::default();
        let mut chunks: Vec<Vec<Message>> = vec![Vec::new()];
        let mut bytes = 0;
        for outcome in document.operations(&target) {
            imported.total += 1;
            let Some(record) = outcome.record else {
                imported.failed += 1;
                let reason = outcome.errors.first().map_or("it cannot be read", |error| error.error.as_str());
                if imported.failures.len() < FAILURES_MAX {
                    imported.failures.push(text::storable(&format!("{} {}: {reason}", outcome.method, outcome.url)));
                }
                continue;
            };
            let value = record.to_json().into_bytes();
            if bytes + value.len() > CHUNK_BYTES_MAX {
                chunks.push(Vec::new());
                bytes = 0;
            }
            bytes += value.len();
            let key = format!("{account_id}:{collection_id}").into_bytes();
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(Message { key, value });
            }
        }
        (imported, chunks)
    });
    let (imported, chunks) = converted.await.map_err(|error| Error::Internal(error.to_string()))?;
    let producer_id = format!("platform/{account_id}/{collection_id}");
    let mut wanted = Positions::new();
    for (sequence, chunk) in (0..).zip(chunks.into_iter().filter(|chunk| !chunk.is_empty())) {
        for (partition, end) in deps.log.append(&producer_id, sequence, chunk).await? {
            let known = wanted.entry(partition).or_insert(end);
            *known = (*known).max(end);
        }
    }
    // The records are in the log: what is not shown by then is shown soon.
    ingest::positions_at(deps, account_id, &wanted, WAIT).await?;
    Ok(imported)
}

/// A page of the endpoints of one collection, or of all.
///
/// # Errors
/// `VALIDATION_FAILED` for a page out of range, `COLLECTION_NOT_FOUND`.
pub async fn list_endpoints(
    deps: &Deps,
    caller: &Caller,
    collection_id: Option<CollectionId>,
    page: Option<i32>,
    per_page: Option<i32>,
) -> Result<Vec<EndpointRow>, Error> {
    let (skip, take) = window(page, per_page)?;
    if let Some(id) = collection_id {
        access::find(deps, caller, id).await?.ok_or(Reason::CollectionNotFound)?;
    }
    Ok(rows::endpoints(&deps.db, caller.account_id, collection_id, skip, take).await?)
}

/// Lets calls of an endpoint through, or not. The edge learns of it by the feed.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn switch_endpoint(deps: &Deps, caller: &Caller, endpoint_id: &str, active: bool) -> Result<(), Error> {
    let digits = !endpoint_id.is_empty() && endpoint_id.bytes().all(|byte| byte.is_ascii_digit());
    let id: i64 = digits.then(|| endpoint_id.parse().ok()).flatten().ok_or(Reason::NotFound)?;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let known = rows::is_active(&mut tx, caller.account_id, id).await?.ok_or(Reason::NotFound)?;
        if known != active {
            let version = store::feed::reserve_versions(&mut tx, 1).await?;
            rows::switch(&mut tx, caller.account_id, id, active, version, now_s()).await?;
            let change =
                Change::of("endpoint", id).before(&json!({ "active": known })).after(&json!({ "active": active }));
            portolan_outbox::audit(&mut tx, caller, change).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    deps.peers.settle_edge().await;
    Ok(())
}

fn window(page: Option<i32>, per_page: Option<i32>) -> Result<(usize, usize), Error> {
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PER_PAGE_MAX));
    if page < 1 {
        return Err(fault("page", "must be greater than 0"));
    }
    if !(1..=PER_PAGE_MAX).contains(&per_page) {
        return Err(fault("per_page", "must be between 1 and 100"));
    }
    let size = usize::try_from(per_page).unwrap_or_default();
    Ok((usize::try_from(page - 1).unwrap_or_default().saturating_mul(size), size))
}

fn fault(field: &str, text: &str) -> Error {
    portolan_api::Error::new(Reason::ValidationFailed).with("errors_json", json!({ field: [text] }).to_string()).into()
}

/// A time as the platform writes it.
pub fn timestamp(unix_s: i64) -> String {
    let (days, second) = (unix_s.div_euclid(86_400), unix_s.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last day of one.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(1_764_547_200), "2025-12-01T00:00:00.000Z");
        assert_eq!(timestamp(951_782_399), "2000-02-28T23:59:59.000Z");
        assert_eq!(timestamp(951_868_800), "2000-03-01T00:00:00.000Z");
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(window(Some(3), Some(10)).unwrap(), (20, 10));
        assert_eq!(window(None, None).unwrap(), (0, 100));
        assert!(window(Some(0), None).is_err() && window(None, Some(101)).is_err());
    }
}
