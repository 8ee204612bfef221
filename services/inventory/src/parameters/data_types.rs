//! Kinds of data that an account has defined or switched, and the detectors that follow from them.
//!
//! # Invariants
//! - A change counts for every batch of records that is read after it was answered, in every process.

use std::{collections::BTreeMap, sync::Arc};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{CustomRule, SubType};
use portolan_ids::AccountId;
use portolan_runtime::now_s;
use portolan_store::{Tx, retrying};

use crate::{
    Deps, Error, jobs,
    model::{
        collections::CollectionName,
        data_types::{Changes, DataType, Definition, built_in, invalid, positions, rule, switched},
        detectors::DetectorSet,
        jobs::Task,
        text,
    },
    store,
};

/// Kinds that one account may define.
const TYPES_MAX: usize = 200;

/// Patterns in the kinds of one account.
const PATTERNS_MAX: usize = 200;

/// Memory of these patterns when they are compiled.
const PATTERN_BYTES_MAX: usize = 16 << 20;

/// Definitions of one account as text: all of them are in memory, and are read again when one has changed.
const TEXT_BYTES_MAX: usize = 2 << 20;

const PAGE_DEFAULT: usize = 200;

const PAGE_MAX: usize = 1_000;

/// The detectors as they are now. One small query tells whether anything changed; then what changed is read.
pub async fn detectors(deps: &Deps) -> Result<Arc<DetectorSet>, Error> {
    let version = store::data_types::version(&deps.db).await?;
    let mut kept = deps.shared.detectors.lock().await;
    if let Some((known, set)) = &*kept
        && known.all == version
    {
        return Ok(set.clone());
    }
    let versions = store::data_types::versions(&deps.db).await?;
    let (known, before) = kept.as_ref().map(|(known, set)| (known, set.clone())).unzip();
    let changed: Vec<AccountId> = match known.filter(|known| known.of_others() == versions.of_others()) {
        Some(known) => {
            let is_other = |(id, version): &(&AccountId, &i64)| known.accounts.get(*id) != Some(*version);
            versions.accounts.iter().filter(is_other).map(|(id, _)| *id).collect()
        }
        // Nothing tells what another program has changed.
        None => {
            let all = store::data_types::accounts(&deps.db).await?.into_iter();
            all.chain(versions.accounts.keys().copied()).collect()
        }
    };
    let mut by_account = BTreeMap::new();
    for account_id in changed {
        by_account.insert(account_id, store::data_types::list(&deps.db, account_id).await?);
    }
    let set = Arc::new(before.unwrap_or_default().with(by_account));
    *kept = Some((versions, set.clone()));
    Ok(set)
}

/// The same, with those of an account at hand.
pub async fn detectors_of(deps: &Deps, account_id: AccountId) -> Result<Arc<DetectorSet>, Error> {
    let set = detectors(deps).await?;
    if !set.is_made(account_id) {
        // Patterns of hundreds of kinds would hold up the other tasks of this thread.
        let set = set.clone();
        let made = portolan_runtime::in_background(move || _ = set.of(account_id));
        made.await.map_err(|error| Error::Internal(format!("the detectors of an account: {error}")))?;
    }
    Ok(set)
}

/// The kinds after a name, those of the account and the built-in ones, and whether more follow.
pub async fn list(deps: &Deps, caller: &Caller, after: &str, page_size: i32) -> Result<(Vec<DataType>, bool), Error> {
    let size = usize::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let mut all: BTreeMap<String, DataType> = built_in().map(|known| (known.name.clone(), known)).collect();
    for row in store::data_types::list(&deps.db, caller.account_id).await? {
        match all.get_mut(&row.name) {
            Some(known) => *known = switched(row, known),
            None => _ = all.insert(row.name.clone(), row),
        }
    }
    let mut page: Vec<DataType> = all.into_values().filter(|known| known.name.as_str() > after).collect();
    let more = page.len() > size;
    page.truncate(size);
    Ok((page, more))
}

/// Creates a kind of the account's making.
///
/// # Errors
/// `COLLECTION_NAME_…` for its name, `DATA_TYPE_EXISTS`, `DATA_TYPE_INVALID`, `TOO_MANY_DATA_TYPES`.
pub async fn create(deps: &Deps, caller: &Caller, name: &str, wanted: Changes) -> Result<DataType, Error> {
    let name = CollectionName::parse(Some(name.trim().to_uppercase()).filter(|name| !name.is_empty()))?;
    let taken = || Error::from(portolan_api::Error::new(Reason::DataTypeExists).with("name", name.as_str()));
    if SubType::from_name(name.as_str()).is_some() {
        return Err(taken());
    }
    let now = now_s();
    let mut created = DataType {
        name: name.as_str().to_owned(),
        built_in: false,
        active: true,
        definition: Definition::default(),
        unreadable: None,
        created_at: now,
        updated_at: now,
    };
    wanted.apply(&mut created);
    let created_rule = compiled(&created).await?;
    let known = store::data_types::list(&deps.db, caller.account_id).await?;
    if known.iter().filter(|known| !known.built_in).count() >= TYPES_MAX {
        return Err(portolan_api::Error::new(Reason::TooManyDataTypes).with("limit", TYPES_MAX).into());
    }
    expect_room(deps, caller, &known, &created, &created_rule).await?;
    let inserted = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let inserted = store::data_types::insert(&mut tx, caller.account_id, &created).await?;
        if inserted {
            apply_to_urls(deps, &mut tx, caller.account_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(inserted)
    });
    match inserted.await? {
        true => {
            deps.jobs.notify();
            Ok(created)
        }
        false => Err(taken()),
    }
}

/// Changes a kind of the account, or switches a built-in one.
///
/// # Errors
/// `DATA_TYPE_NOT_FOUND`, `DATA_TYPE_INVALID`.
pub async fn update(deps: &Deps, caller: &Caller, name: &str, wanted: Changes) -> Result<DataType, Error> {
    let name = name.to_uppercase();
    text::no_nul("name", &name)?;
    let now = now_s();
    let default = built_in().find(|known| known.name == name);
    let stored = store::data_types::get(&deps.db, caller.account_id, &name).await?;
    let mut known = match (stored, &default) {
        (Some(row), Some(default)) => switched(row, default),
        (Some(row), None) => row,
        (None, Some(default)) => DataType { created_at: now, ..default.clone() },
        (None, None) => return Err(not_found(&name)),
    };
    if known.built_in && !wanted.only_switches() {
        return Err(invalid(
            "name",
            "of a built-in kind, of which only `active`, `redacted` and where it is sensitive can be changed",
        )
        .into());
    }
    let was_active = known.active;
    wanted.apply(&mut known);
    known.updated_at = now;
    match known.built_in {
        true => _ = positions(&known.definition)?,
        false => {
            let rule = compiled(&known).await?;
            let all = store::data_types::list(&deps.db, caller.account_id).await?;
            expect_room(deps, caller, &all, &known, &rule).await?;
        }
    }
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        store::data_types::save(&mut tx, caller.account_id, &known).await?;
        if !known.built_in || known.active != was_active {
            apply_to_urls(deps, &mut tx, caller.account_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    deps.jobs.notify();
    Ok(known)
}

/// Deletes a kind of the account, or the switch of a built-in one.
///
/// # Errors
/// `DATA_TYPE_NOT_FOUND`.
pub async fn delete(deps: &Deps, caller: &Caller, name: &str) -> Result<(), Error> {
    let name = name.to_uppercase();
    text::no_nul("name", &name)?;
    let deleted = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let deleted = store::data_types::delete(&mut tx, caller.account_id, &name).await?;
        if deleted {
            apply_to_urls(deps, &mut tx, caller.account_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(deleted)
    });
    match deleted.await? {
        true => {
            deps.jobs.notify();
            Ok(())
        }
        false => Err(not_found(&name)),
    }
}

/// The rule of a kind. Its patterns take a while to compile, so that requests go first.
async fn compiled(kind: &DataType) -> Result<CustomRule, Error> {
    let kind = kind.clone();
    let made = portolan_runtime::in_background(move || rule(&kind)).await;
    Ok(made.map_err(|error| Error::Internal(format!("compiling patterns: {error}")))??)
}

/// # Errors
/// `DATA_TYPE_INVALID` when the kinds of the account take too much with this one: each takes memory, and time at every
/// record.
async fn expect_room(
    deps: &Deps,
    caller: &Caller,
    all: &[DataType],
    wanted: &DataType,
    rule: &CustomRule,
) -> Result<(), Error> {
    let all_hold = |what: String| -> Result<(), Error> {
        let detail = format!("and valueConditions of all data types of an account hold at most {what}");
        Err(invalid("keyConditions", detail).into())
    };
    let others = || all.iter().filter(|known| known.name != wanted.name);
    let before = all.iter().find(|known| known.name == wanted.name);
    let text = wanted.text_bytes();
    // What is there may stay, and become less.
    if before.is_none_or(|before| text > before.text_bytes())
        && others().map(DataType::text_bytes).sum::<usize>() + text > TEXT_BYTES_MAX
    {
        return all_hold(format!("{TEXT_BYTES_MAX} bytes"));
    }
    if wanted.patterns() == 0 {
        return Ok(());
    }
    if others().map(DataType::patterns).sum::<usize>() + wanted.patterns() > PATTERNS_MAX {
        return all_hold(format!("{PATTERNS_MAX} patterns"));
    }
    if wanted.active {
        let known = detectors_of(deps, caller.account_id).await?;
        if known.pattern_bytes(caller.account_id, &wanted.name) + rule.pattern_bytes() > PATTERN_BYTES_MAX {
            return all_hold(format!("patterns of {PATTERN_BYTES_MAX} bytes when they are compiled"));
        }
    }
    Ok(())
}

/// Kinds of data tell identifiers in URLs too: endpoints that are there follow a change of them.
async fn apply_to_urls(deps: &Deps, tx: &mut Tx, account_id: AccountId) -> Result<(), Error> {
    jobs::ask(deps, tx, account_id, Task::ApplyTemplateRules).await?;
    Ok(store::templates::reset(tx, account_id).await?)
}

fn not_found(name: &str) -> Error {
    portolan_api::Error::new(Reason::DataTypeNotFound).with("name", name).into()
}
