use serde::{Deserialize, Serialize};

use portolan_api::{Access, Feature, identity::v1::GetGrantResponse};
use portolan_ids::{AccountId, CollectionId};

use crate::{Role, role_key, weigh::Weigh};

/// What a user may do in an account and scope at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role as the user holds it: a built-in name or that of a custom role.
    pub role: String,
    /// The built-in role that bounds it.
    pub base_role: Role,
    readable: u64,
    writable: u64,
    /// `None`: every collection of the scope.
    collections: Option<Vec<CollectionId>>,
    /// Authority over the organization, which no role gives.
    #[serde(default)]
    administers_organization: bool,
    /// Of an organization token; `None` for users.
    token_scopes: Option<Vec<String>>,
}

impl Grant {
    /// `collections`: ids in any order; `None` for every collection.
    pub fn new(role: impl Into<String>, base_role: Role, collections: Option<Vec<CollectionId>>) -> Self {
        let collections = collections.filter(|_| base_role != Role::Admin).map(|mut ids| {
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        Self {
            role: role.into(),
            base_role,
            readable: base_role.features(Access::Read),
            writable: base_role.features(Access::ReadWrite),
            collections,
            administers_organization: false,
            token_scopes: None,
        }
    }

    /// What an organization token may do. Which RPCs it reaches follows from its scopes; there it acts for the whole
    /// organization.
    pub fn of_organization_token(scopes: Vec<String>) -> Self {
        let grant = Self::new("ORGANIZATION_TOKEN", Role::Admin, None);
        Self { token_scopes: Some(scopes), administers_organization: true, ..grant }
    }

    /// The same with authority over the organization, or without it.
    #[must_use]
    pub fn administering(mut self, organization: bool) -> Self {
        self.administers_organization = organization;
        self
    }

    /// Whether the caller administers the organization that the account belongs to.
    pub fn administers_organization(&self) -> bool {
        self.administers_organization
    }

    /// Whether everything that `given` opens lies within what this grant opens: authority over the organization,
    /// features to read and to write, collections, and the scopes of a token. Roles are ordered as documented:
    /// MEMBER is above DEVELOPER, whose write access to integrations a MEMBER who reads them may hand out.
    pub fn covers(&self, given: &Self) -> bool {
        if given.base_role == Role::NoAccess {
            return true;
        }
        let below = self.base_role.assignable();
        let reach = below.iter().fold(0, |all, role| all | role.features(Access::ReadWrite)) & self.readable;
        let has_collections = match (&self.collections, &given.collections) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(ids)) => ids.iter().all(|id| own.binary_search(id).is_ok()),
        };
        let has_scopes = match (&self.token_scopes, &given.token_scopes) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(scopes)) => scopes.iter().all(|scope| own.contains(scope)),
        };
        below.contains(&given.base_role)
            && given.readable & !self.readable == 0
            && given.writable & !(self.writable | reach) == 0
            && self.administers_organization >= given.administers_organization
            && has_collections
            && has_scopes
    }

    /// The scopes of an organization token; `None` for users, whom their role bounds.
    pub fn token_scopes(&self) -> Option<&[String]> {
        self.token_scopes.as_deref()
    }

    /// What a custom role changes: it may open threat protection, and closes every feature outside `allowed` but those
    /// of the user group.
    #[must_use]
    pub fn with_custom_role(mut self, opens_threat_protection: bool, allowed: Option<u64>) -> Self {
        let threat_protection = 1 << Feature::ThreatProtection as i32;
        if opens_threat_protection && matches!(self.base_role, Role::Member | Role::Developer) {
            self.readable |= threat_protection;
            self.writable |= threat_protection;
        }
        if let Some(allowed) = allowed {
            let allowed = allowed | 1 << Feature::UserActions as i32;
            self.readable &= allowed;
            self.writable &= allowed;
        }
        self
    }

    /// One AND.
    pub fn allows(&self, feature: Feature, access: Access) -> bool {
        let bits = match access {
            Access::Read => self.readable,
            Access::ReadWrite => self.writable,
            Access::Unspecified => 0,
        };
        bits & 1 << feature as i32 != 0
    }

    /// The key that the grant rests on: that of the custom role it comes from, also of one that does not exist yet.
    pub fn basis(&self, account_id: AccountId) -> Option<String> {
        Role::parse(&self.role).is_none().then(|| role_key(account_id, &self.role))
    }

    /// The role's name in a refusal, upper case.
    pub fn display_role(&self) -> String {
        match Role::parse(&self.role) {
            Some(role) => role.display_name().to_owned(),
            None => self.role.to_uppercase(),
        }
    }

    /// The collections that the user may see, sorted; `None` for all.
    pub fn collections(&self) -> Option<&[CollectionId]> {
        self.collections.as_deref()
    }

    /// Whether the collection is among those that it opens.
    pub fn sees(&self, collection_id: CollectionId) -> bool {
        self.collections().is_none_or(|ids| ids.binary_search(&collection_id).is_ok())
    }
}

impl Weigh for Grant {
    fn bytes(&self) -> usize {
        let scopes = self.token_scopes.iter().flatten().map(|scope| size_of::<String>() + scope.len());
        size_of::<Self>()
            + self.role.len()
            + size_of_val(self.collections.as_deref().unwrap_or_default())
            + scopes.sum::<usize>()
    }
}

impl From<&Grant> for GetGrantResponse {
    fn from(grant: &Grant) -> Self {
        Self {
            role: grant.role.clone(),
            base_role: grant.base_role.name().to_owned(),
            readable: grant.readable,
            writable: grant.writable,
            collection_ids: grant.collections.iter().flatten().copied().map(Into::into).collect(),
            all_collections: grant.collections.is_none(),
            administers_organization: grant.administers_organization,
        }
    }
}

impl From<GetGrantResponse> for Grant {
    /// A base role that this program does not know has no access.
    fn from(response: GetGrantResponse) -> Self {
        let Some(base_role) = Role::parse(&response.base_role) else {
            return Self::new(response.role, Role::NoAccess, Some(Vec::new()));
        };
        let mut collections = (!response.all_collections)
            .then(|| response.collection_ids.into_iter().map(CollectionId).collect::<Vec<_>>());
        if let Some(ids) = &mut collections {
            ids.sort_unstable();
        }
        Self {
            role: response.role,
            base_role,
            readable: response.readable,
            writable: response.writable,
            collections,
            administers_organization: response.administers_organization,
            token_scopes: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grants() -> impl Strategy<Value = Grant> {
        let base = proptest::sample::select(Role::ALL.to_vec());
        let features = proptest::option::of(0_u64..1 << 29);
        let collections = proptest::option::of(proptest::collection::vec((0..4).prop_map(CollectionId), 0..4));
        (base, features, any::<bool>(), collections, any::<bool>()).prop_map(
            |(base, features, opens, collections, administers)| {
                let grant = Grant::new("r", base, collections).with_custom_role(opens, features);
                grant.administering(administers && base == Role::Admin)
            },
        )
    }

    /// What a grant lets somebody do, told one thing at a time.
    fn may(grant: &Grant, feature: i32, access: Access, collection: CollectionId) -> bool {
        Feature::try_from(feature).is_ok_and(|feature| grant.allows(feature, access)) && grant.sees(collection)
    }

    proptest! {
        #[test]
        fn grants_are_ordered(a in grants(), b in grants(), c in grants()) {
            prop_assert!(a.covers(&a));
            prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
            if a.covers(&b) && b.covers(&a) && a.base_role != Role::NoAccess {
                prop_assert_eq!(&a, &b);
            }
        }

        /// Whoever is covered may do nothing that the holder may not, but for what the documented order of roles says:
        /// a DEVELOPER, who is below MEMBER, writes integrations.
        #[test]
        fn what_is_covered_opens_nothing_more(holder in grants(), given in grants()) {
            if holder.covers(&given) {
                for feature in 1..=28 {
                    for collection in (0..4).map(CollectionId) {
                        for access in [Access::Read, Access::ReadWrite] {
                            let is_documented =
                                feature == Feature::Integrations as i32 && may(&holder, feature, Access::Read, collection);
                            prop_assert!(
                                given.base_role == Role::NoAccess
                                    || !may(&given, feature, access, collection)
                                    || may(&holder, feature, access, collection)
                                    || is_documented
                            );
                        }
                    }
                }
                prop_assert!(holder.administers_organization() || !given.administers_organization());
            } else if given.base_role == holder.base_role {
                // And a refusal has a reason.
                let more = |access| (1..=28).any(|f| (0..5).map(CollectionId).any(|c| may(&given, f, access, c) && !may(&holder, f, access, c)));
                let sees_more = (0..5).map(CollectionId).any(|c| given.sees(c) && !holder.sees(c));
                let administers_more = given.administers_organization() && !holder.administers_organization();
                let opens_more = given.readable & !holder.readable != 0 || given.writable & !holder.writable != 0;
                prop_assert!(more(Access::Read) || more(Access::ReadWrite) || sees_more || administers_more || opens_more);
            }
        }
    }
}
