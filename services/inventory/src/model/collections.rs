use portolan_api::{Access, Error, Feature, Reason};
use portolan_authz::{Caller, Scope};
use portolan_ids::{CollectionId, UserId};
use serde::{Deserialize, Serialize};

use crate::model::groups::GROUP_KIND;

/// Whether the collection stands in the caller's list.
pub fn sees(caller: &Caller, collection: &Collection) -> bool {
    !collection.deleted && caller.grant.sees(collection.id) && collection.in_scope(caller.scope)
}

/// The collection that every account has.
pub const DEFAULT_ID: CollectionId = CollectionId(0);

/// Stands for no collection where a request names none.
pub const NO_COLLECTION: CollectionId = CollectionId(-1);

/// Longest name, as documented.
const NAME_CHARACTERS_MAX: usize = 60;

/// Longest list of ids in a request.
pub(crate) const IDS_MAX: usize = 10_000;

/// Its endpoints belong to an MCP server.
pub const MCP_TAG: &str = "mcp-server";

/// Its endpoints belong to a generative model.
pub const GEN_AI_TAG: &str = "gen-ai";

/// The value of [`GEN_AI_TAG`] that an import from an address gives; such collections are in the scope API as well.
pub(crate) const GEN_AI_IMPORT: &str = "Gen AI Import";

/// Its endpoints were made by a scan.
pub const DAST_TAG: &str = "dast";

/// The source of the tags that an endpoint agent gives.
const ENDPOINT_SOURCE: &str = "ENDPOINT";

/// A set of endpoints under one name: filled by imports, or by the traffic of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Unique in the account.
    pub id: CollectionId,
    /// Unique in the account.
    pub name: String,
    /// In the words of its maker.
    pub description: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Set for collections of live traffic.
    pub host_name: Option<String>,
    /// `API_GROUP`; nothing for a plain collection.
    pub kind: Option<String>,
    /// In the order in which they were given.
    pub tags: Vec<Tag>,
    /// What it was set to, in place of what its calls say.
    pub access_type: Option<String>,
    /// Values of its calls are not kept.
    pub redacted: bool,
    /// It is left out of what others count and enforce.
    pub deactivated: bool,
    /// It is not to be tested.
    pub out_of_testing_scope: bool,
    /// The installation made it by itself.
    pub automated: bool,
    /// How many endpoints it has.
    pub endpoint_count: i64,
    /// The write that made it.
    pub write_id: Option<String>,
    /// It is gone, and what it had is being removed.
    pub deleted: bool,
    /// What a group shows, as stored; nothing for a plain collection.
    pub conditions: Option<String>,
    /// No value of a redacted collection is left.
    pub values_removed: bool,
    /// The user that made it; nothing for those of hosts and of the installation.
    pub made_by: Option<UserId>,
    /// Nothing but [`Sharing::None`] for a plain collection.
    pub sharing: Sharing,
}

/// Whether a group grants what it shows to those whose list names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Its readers see their part of it.
    #[default]
    None,
    /// An administrator wrote its conditions last.
    ByAdministrator,
    /// An administrator shared it.
    Marked,
}

impl Sharing {
    /// After a change of what a group shows: nobody else widens what an administrator granted.
    pub(crate) fn after_change(self, caller: &Caller) -> Self {
        match (is_administrator(caller), self) {
            (false, _) => Self::None,
            (true, Self::Marked) => Self::Marked,
            (true, _) => Self::ByAdministrator,
        }
    }
}

/// Whether a caller may grant others what a group shows.
pub(crate) fn is_administrator(caller: &Caller) -> bool {
    caller.grant.allows(Feature::AdminActions, Access::ReadWrite) && caller.grant.collections().is_none()
}

/// What a new collection is made of.
pub(crate) struct NewCollection {
    pub name: CollectionName,
    pub kind: Option<&'static str>,
    pub conditions: Option<String>,
}

/// A tag of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    /// As it was given.
    pub key_name: String,
    /// As it was given.
    pub value: String,
    /// Who set it.
    pub source: Option<String>,
    /// Unix seconds.
    pub updated_at: i64,
}

impl Collection {
    /// `<host> - <name>` for host collections with a name of their own, else the name.
    pub fn display_name(&self) -> String {
        match &self.host_name {
            Some(host) if *host != self.name => format!("{host} - {}", self.name),
            _ => self.name.clone(),
        }
    }

    /// Whether its members are chosen by conditions.
    pub fn is_group(&self) -> bool {
        self.kind.as_deref() == Some(GROUP_KIND)
    }

    /// Whether it has a tag of this name, whatever its value.
    pub fn has_tag(&self, key_name: &str) -> bool {
        self.tags.iter().any(|tag| tag.key_name == key_name)
    }

    /// Whether the collection belongs to the product scope. What no tag takes elsewhere belongs to API.
    pub fn in_scope(&self, scope: Scope) -> bool {
        in_scope(&self.tags, scope)
    }

    /// The names of the product scopes that it belongs to.
    pub fn scopes(&self) -> Vec<String> {
        let scopes = Scope::ALL.into_iter().filter(|scope| self.in_scope(*scope));
        scopes.map(|scope| scope.name().to_owned()).collect()
    }
}

/// Whether tags put a collection into a product scope.
pub(crate) fn in_scope(tags: &[Tag], scope: Scope) -> bool {
    let has = |name: &str| tags.iter().any(|tag| tag.key_name == name);
    let is_of_endpoint = |tag: &Tag| tag.source.as_deref() == Some(ENDPOINT_SOURCE);
    match scope {
        Scope::Api => !tags.iter().any(|tag| {
            let elsewhere = [MCP_TAG, GEN_AI_TAG, DAST_TAG].contains(&tag.key_name.as_str()) || is_of_endpoint(tag);
            elsewhere && tag.value != GEN_AI_IMPORT
        }),
        Scope::Mcp => has(MCP_TAG),
        Scope::GenAi => has(GEN_AI_TAG),
        Scope::Agentic => has(MCP_TAG) || has(GEN_AI_TAG),
        Scope::Dast => has(DAST_TAG),
        Scope::Endpoint => tags.iter().any(is_of_endpoint),
    }
}

/// The tag that puts what is made in a scope there.
pub(crate) fn scope_tag(scope: Scope, now: i64) -> Option<Tag> {
    let (key_name, value, source) = match scope {
        Scope::Api => return None,
        Scope::Mcp => (MCP_TAG, "MCP Server", "USER"),
        Scope::GenAi | Scope::Agentic => (GEN_AI_TAG, "Gen AI", "USER"),
        Scope::Dast => (DAST_TAG, "DAST", "USER"),
        Scope::Endpoint => ("source", ENDPOINT_SOURCE, ENDPOINT_SOURCE),
    };
    let [key_name, value] = [key_name, value].map(str::to_owned);
    Some(Tag { key_name, value, source: Some(source.to_owned()), updated_at: now })
}

/// A name that a caller may give a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionName(String);

impl CollectionName {
    /// # Errors
    /// In this order: `COLLECTION_NAME_INVALID` for a missing or empty name, `COLLECTION_NAME_TOO_LONG`,
    /// `COLLECTION_NAME_CHARACTERS`.
    pub fn parse(name: Option<String>) -> Result<Self, Error> {
        let name = name.filter(|name| !name.is_empty()).ok_or(Reason::CollectionNameInvalid)?;
        if name.chars().count() > NAME_CHARACTERS_MAX {
            return Err(Reason::CollectionNameTooLong.into());
        }
        if !name.chars().all(allowed) {
            return Err(Reason::CollectionNameCharacters.into());
        }
        Ok(Self(name))
    }

    /// Makes a name from a title, file or host: other characters become `-`, and it is cut.
    ///
    /// # Errors
    /// `COLLECTION_NAME_INVALID` when nothing is left.
    pub fn clean(name: &str) -> Result<Self, Error> {
        let clean: String =
            name.trim().chars().take(NAME_CHARACTERS_MAX).map(|c| if allowed(c) { c } else { '-' }).collect();
        Self::parse(Some(clean))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

pub(crate) fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: Option<&str>) -> Reason {
        CollectionName::parse(name.map(str::to_owned)).unwrap_err().reason()
    }

    #[test]
    fn names_are_checked_in_the_documented_order() {
        assert_eq!(refusal(None), Reason::CollectionNameInvalid);
        assert_eq!(refusal(Some("")), Reason::CollectionNameInvalid);
        assert_eq!(refusal(Some(&"é".repeat(61))), Reason::CollectionNameTooLong);
        assert_eq!(refusal(Some("a/b")), Reason::CollectionNameCharacters);
        let longest = "Az09-._ ".repeat(7) + "abcd";
        assert_eq!(CollectionName::parse(Some(longest.clone())).unwrap().as_str(), longest);
    }

    #[test]
    fn names_from_elsewhere_are_cleaned_and_cut() {
        assert_eq!(CollectionName::clean("api.example.com:8443").unwrap().as_str(), "api.example.com-8443");
        assert_eq!(CollectionName::clean(&"ü".repeat(90)).unwrap().as_str(), "-".repeat(60));
        assert!(CollectionName::clean("  ").is_err());
    }
}
