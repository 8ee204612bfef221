use std::collections::HashMap;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use portolan_outbox::Change;
use portolan_runtime::now_s;
use portolan_store::retrying;
use serde_json::json;

use crate::{
    Deps, Error, access,
    collections::{create, tags},
    defaults::ensure_default,
    model::{
        collections,
        collections::{Collection, CollectionName, GEN_AI_IMPORT, Tag},
    },
    store,
};

/// The collection that an import fills: the one with the name, made when there is none, or the one with the id.
///
/// # Errors
/// The reasons of [`CollectionName`]; `COLLECTION_NAME_TAKEN` when the caller may not see who has the name.
pub async fn import_target(
    deps: &Deps,
    caller: &Caller,
    id: Option<CollectionId>,
    name: Option<String>,
    clean_name: bool,
    tags: HashMap<String, String>,
) -> Result<Option<Collection>, Error> {
    let target = named_target(deps, caller, id, name, clean_name).await?;
    let target = match target {
        Some(target) if !tags.is_empty() => Some(add_tags(deps, caller, target, tags).await?),
        target => target,
    };
    // Whatever this has made or changed is recorded; mostly nothing is, since imports come again.
    caller.info.audited.set();
    Ok(target)
}

/// Adds the tags that the collection does not have.
async fn add_tags(
    deps: &Deps,
    caller: &Caller,
    mut collection: Collection,
    tags: HashMap<String, String>,
) -> Result<Collection, Error> {
    let now = now_s();
    let missing = tags.into_iter().filter(|(key, _)| !collection.has_tag(key)).map(|(key_name, value)| Tag {
        key_name,
        value,
        source: Some("USER".to_owned()),
        updated_at: now,
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        // The tag of an import from an address leaves the collection in its scope.
        let moving = missing.iter().filter(|tag| tag.value != GEN_AI_IMPORT);
        let moved: Vec<_> = collection.tags.iter().chain(moving).cloned().collect();
        tags::check_move(caller, &collection.tags, &moved)?;
        collection.tags.extend(missing);
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            store::collections::set_tags(&mut tx, caller.account_id, collection.id, &collection.tags).await?;
            let change = Change::of("collection", collection.id).action("collection.update");
            portolan_outbox::audit(&mut tx, caller, change.after(&json!({ "tags": &collection.tags }))).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        })
        .await?;
    }
    Ok(collection)
}

async fn named_target(
    deps: &Deps,
    caller: &Caller,
    id: Option<CollectionId>,
    name: Option<String>,
    clean_name: bool,
) -> Result<Option<Collection>, Error> {
    let Some(name) = name else {
        return match id {
            Some(id) => access::find(deps, caller, id).await,
            None => Ok(None),
        };
    };
    let name = if clean_name { CollectionName::clean(&name)? } else { CollectionName::parse(Some(name))? };
    let key = name.key();
    ensure_default(deps, caller.account_id).await?;
    if let Some(known) = store::collections::by_name_key(&deps.db, caller.account_id, &key).await? {
        return usable(caller, known).map(Some);
    }
    match create(deps, caller, name).await {
        // Another request was faster.
        Err(error) if error.reason() == Some(Reason::CollectionNameTaken) => {
            let known = store::collections::by_name_key(&deps.db, caller.account_id, &key).await?;
            usable(caller, known.ok_or(Reason::CollectionNameTaken)?).map(Some)
        }
        outcome => outcome.map(Some),
    }
}

fn usable(caller: &Caller, known: Collection) -> Result<Collection, Error> {
    if collections::sees(caller, &known) { Ok(known) } else { Err(Reason::CollectionNameTaken.into()) }
}
