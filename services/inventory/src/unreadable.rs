//! Stored settings that this program does not understand: written by another version, or by hand. Ingest and reads skip
//! them; this lists them for whoever runs the installation.

use portolan_store::Store;

use crate::{
    Error,
    model::{conditions::Conditions, data_types},
    store,
};

/// A line for each stored setting that is skipped, naming the account, the thing, and why.
///
/// # Errors
/// When the tables cannot be read.
pub async fn unreadable_settings(store: &Store) -> Result<Vec<String>, Error> {
    let db = store.service(crate::migrations::SERVICE).await?;
    let mut found = Vec::new();
    for (account_id, group_id, conditions) in store::groups::all_conditions(&db).await? {
        let conditions = Conditions::stored(&conditions);
        let reasons = conditions.unreadable();
        found.extend(reasons.map(|reason| format!("account {account_id}, group {group_id}: {reason}")));
    }
    for (account_id, row) in store::data_types::list_all(&db).await? {
        if let Some(reason) = data_types::unreadable(&row) {
            found.push(format!("account {account_id}, data type {}: {reason}", row.name));
        }
    }
    for (account_id, collection_id, reason) in store::collections::unreadable_tags(&db).await? {
        found.push(format!("account {account_id}, tags of collection {collection_id}: {reason}"));
    }
    Ok(found)
}
