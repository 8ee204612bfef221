use portolan_api::{Access, Feature, Reason};
use portolan_authz::{Caller, Scope};
use portolan_ids::{CollectionId, JobId};
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error,
    collections::state::visible,
    jobs,
    model::{
        collections::{Tag, in_scope},
        environment::ENV_TYPE,
        jobs::Task,
        text::{self, text_too_long, too_long},
    },
    store,
};

/// Tags of one request and of one collection.
const TAGS_MAX: usize = 100;

/// Longest key or value of a tag.
const TAG_CHARACTERS_MAX: usize = 255;

/// How a request changes tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Removes all.
    Reset,
    /// Key and value of each: removed where it stands, else added.
    Toggle(Vec<(String, String)>),
}

/// Changes the tags of collections; returns the jobs by which groups follow. Ids that the caller cannot see are passed
/// over.
///
/// # Errors
/// `TOO_MANY_IDS`; `ENV_TYPE_REQUIRED` for an empty list or a tag without a key; `LIST_TOO_LONG`, `TEXT_TOO_LONG`,
/// `TEXT_HAS_NUL`.
pub async fn update_tags(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<CollectionId>,
    change: TagChange,
) -> Result<Vec<JobId>, Error> {
    if let TagChange::Toggle(tags) = &change {
        check_tags(tags)?;
    }
    let ids = visible(deps, caller, ids).await?;
    // What the first attempt made of each collection, so that a repetition after a commit of unknown outcome does not
    // toggle back.
    let mut made: std::collections::BTreeMap<CollectionId, Vec<Tag>> = Default::default();
    let now = now_s();
    let made = std::sync::Mutex::new(&mut made);
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let mut asked = Vec::with_capacity(ids.len());
        for id in &ids {
            let task = Task::groups_of(*id);
            asked.push(jobs::ask(deps, &mut tx, caller.account_id, task).await?);
        }
        let mut job_ids = Vec::with_capacity(ids.len());
        for (id, job_id) in ids.iter().zip(asked) {
            store::collections::hold(&mut tx, caller.account_id, *id).await?;
            let Some(known) = store::collections::get_in(&mut tx, caller.account_id, *id).await? else { continue };
            let before = made.lock().ok().and_then(|made| made.get(id).cloned());
            let tags = match before {
                Some(tags) if tags == known.tags => continue,
                Some(tags) => tags,
                None => changed(&known.tags, &change, now),
            };
            if tags.len() > TAGS_MAX {
                return Err(too_long("tagsList", TAGS_MAX).into());
            }
            check_move(caller, &known.tags, &tags)?;
            store::collections::update_tags(&mut tx, caller.account_id, *id, &tags).await?;
            if let Ok(mut made) = made.lock() {
                made.insert(*id, tags);
            }
            job_ids.push(job_id);
        }
        tx.commit().await?;
        Ok::<_, Error>(job_ids)
    })
    .await
}

/// Tags that move a collection between product scopes change whose roles decide over it, which is for an ADMIN.
pub(crate) fn check_move(caller: &Caller, before: &[Tag], after: &[Tag]) -> Result<(), Error> {
    let scopes = [Scope::Api, Scope::Mcp, Scope::GenAi, Scope::Dast, Scope::Endpoint];
    let moves = scopes.iter().any(|scope| in_scope(before, *scope) != in_scope(after, *scope));
    if moves && !caller.grant.allows(Feature::AdminActions, Access::ReadWrite) {
        let refused = portolan_api::Error::new(Reason::RoleHasNoAccess).with("role", caller.grant.display_role());
        return Err(refused.into());
    }
    Ok(())
}

fn check_tags(tags: &[(String, String)]) -> Result<(), Error> {
    if tags.is_empty() || tags.iter().any(|(key, _)| key.is_empty()) {
        return Err(Reason::EnvTypeRequired.into());
    }
    if tags.len() > TAGS_MAX {
        return Err(too_long("envType", TAGS_MAX).into());
    }
    for (member, text) in tags.iter().flat_map(|(key, value)| [("keyName", key), ("value", value)]) {
        if text.chars().count() > TAG_CHARACTERS_MAX {
            return Err(text_too_long(member, TAG_CHARACTERS_MAX).into());
        }
        text::no_nul(member, text)?;
    }
    Ok(())
}

pub(crate) fn changed(known: &[Tag], change: &TagChange, now: i64) -> Vec<Tag> {
    let TagChange::Toggle(toggled) = change else { return Vec::new() };
    let mut tags = known.to_vec();
    for (key, value) in toggled {
        let is_same = |tag: &Tag| tag.key_name == *key && tag.value == *value;
        if tags.iter().any(is_same) {
            tags.retain(|tag| !is_same(tag));
            continue;
        }
        if key.eq_ignore_ascii_case(ENV_TYPE) {
            tags.retain(|tag| !tag.key_name.eq_ignore_ascii_case(ENV_TYPE));
        }
        tags.push(Tag {
            key_name: key.clone(),
            value: value.clone(),
            source: Some("USER".to_owned()),
            updated_at: now,
        });
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toggle(known: &[Tag], tags: &[(&str, &str)]) -> Vec<Tag> {
        let tags = tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        changed(known, &TagChange::Toggle(tags), 7)
    }

    fn texts(tags: &[Tag]) -> Vec<String> {
        tags.iter().map(|tag| format!("{}={}", tag.key_name, tag.value)).collect()
    }

    #[test]
    fn a_toggle_adds_removes_and_keeps_one_environment() {
        let tags = toggle(&[], &[("envType", "STAGING"), ("team", "a")]);
        assert_eq!(texts(&tags), ["envType=STAGING", "team=a"]);
        assert_eq!(texts(&toggle(&tags, &[("ENVTYPE", "QA")])), ["team=a", "ENVTYPE=QA"]);
        assert_eq!(texts(&toggle(&tags, &[("team", "b")])), ["envType=STAGING", "team=a", "team=b"]);
        assert_eq!(texts(&toggle(&tags, &[("envType", "STAGING")])), ["team=a"]);
        assert!(changed(&tags, &TagChange::Reset, 7).is_empty());
    }
}
