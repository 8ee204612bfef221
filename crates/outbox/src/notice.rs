//! What one reader learns from a notice.

use std::{collections::HashMap, sync::Arc};

use portolan_api::{Access, Feature};
use portolan_authz::{Grant, Scope};
use portolan_ids::UserId;

pub use portolan_api::common::v1::{Notice, NoticeLine};

/// Lines that a message shows; of the others it tells the number.
const SHOWN_MAX: usize = 5;

/// The grants of a reader, by product scope.
pub type Grants = HashMap<Scope, Arc<Grant>>;

/// The product scopes whose grants decide who reads a notice.
pub fn scopes(notice: &Notice) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = notice.lines.iter().flat_map(of_line).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// What the reader learns; nothing when no line is for them.
pub fn text(notice: &Notice, user_id: UserId, grants: &Grants) -> Option<String> {
    let is_theirs = user_id != UserId(0) && notice.user_id == user_id.get();
    let lines: Vec<&NoticeLine> =
        notice.lines.iter().filter(|line| is_theirs || reads(notice.feature(), line, grants)).collect();
    let mut shown: Vec<String> = lines.iter().take(SHOWN_MAX).map(|line| line.text.clone()).collect();
    if lines.len() > SHOWN_MAX {
        shown.push(format!("{} more", lines.len() - SHOWN_MAX));
    }
    Some(shown.join("; ")).filter(|text| !text.is_empty())
}

fn of_line(line: &NoticeLine) -> Vec<Scope> {
    match line.scopes.is_empty() {
        true => vec![Scope::Api],
        false => line.scopes.iter().map(|name| Scope::parse(name)).collect(),
    }
}

fn reads(feature: Feature, line: &NoticeLine, grants: &Grants) -> bool {
    of_line(line).into_iter().filter_map(|scope| grants.get(&scope)).any(|grant| {
        let sees = match line.api_collection_id {
            Some(id) => grant.sees(id.into()),
            None => grant.collections().is_none(),
        };
        sees && grant.allows(feature, Access::Read)
    })
}

#[cfg(test)]
mod tests {
    use portolan_authz::Role;

    use super::*;

    fn notice(ids: &[Option<i32>]) -> Notice {
        let line = |id: &Option<i32>| NoticeLine {
            text: id.map_or("all".to_owned(), |id| format!("in {id}")),
            api_collection_id: *id,
            scopes: Vec::new(),
        };
        Notice {
            feature: Feature::SensitiveData.into(),
            lines: ids.iter().map(line).collect(),
            user_id: 7,
            ..Notice::default()
        }
    }

    const SOMEBODY: UserId = UserId(8);

    fn grants(collections: Option<Vec<i32>>) -> Grants {
        let collections = collections.map(|ids| ids.into_iter().map(Into::into).collect());
        HashMap::from([(Scope::Api, Arc::new(Grant::new("MEMBER", Role::Member, collections)))])
    }

    #[test]
    fn each_reader_learns_what_they_may_read() {
        let told = notice(&[Some(1), Some(2), None]);
        assert_eq!(text(&told, SOMEBODY, &grants(None)).as_deref(), Some("in 1; in 2; all"));
        assert_eq!(text(&told, SOMEBODY, &grants(Some(vec![2]))).as_deref(), Some("in 2"));
        assert_eq!(text(&told, SOMEBODY, &grants(Some(vec![3]))), None);
        assert_eq!(text(&told, SOMEBODY, &Grants::new()), None);
        assert_eq!(text(&told, UserId(7), &grants(Some(vec![3]))).as_deref(), Some("in 1; in 2; all"));
        let guest = HashMap::from([(Scope::Api, Arc::new(Grant::new("GUEST", Role::Guest, None)))]);
        let may = guest[&Scope::Api].allows(Feature::SensitiveData, Access::Read);
        assert_eq!(text(&told, SOMEBODY, &guest).is_some(), may);
    }

    #[test]
    fn of_many_lines_the_number_is_told() {
        let told = notice(&[Some(1); 7]);
        assert!(text(&told, SOMEBODY, &grants(None)).unwrap().ends_with("in 1; 2 more"));
    }
}
