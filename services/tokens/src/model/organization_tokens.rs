use portolan_ids::{AccountId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{networks, organizations::Organization, scopes};

const NAME_CHARS_MAX: usize = 100;
const LIST_MAX: usize = 200;
const ANNOTATION_CHARS_MAX: usize = 1000;
/// Above this many tokens the totals are not told.
const LARGE_SET: i64 = 1000;

/// A token as it is known without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Public, `tok_` and 16 letters or digits.
    pub id: String,
    /// UUID of the owner.
    pub organization_id: OrganizationId,
    /// The account in which it was made and acts; 0 for the first of the organization.
    pub account_id: AccountId,
    /// As its maker calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Vec<String>,
    /// Addresses and ranges that may use it; empty for every one.
    pub networks: Vec<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Requests a minute; `None` means the configured default.
    pub rate_limit: Option<i64>,
    /// In the order in which they were given.
    pub annotations: Vec<Annotation>,
    /// Unix seconds.
    pub created_at: i64,
    /// The write that made the secret.
    pub secret_write_id: String,
}

/// A note on a token, for its maker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// As it was given.
    pub key: String,
    /// As it was given.
    pub value: Option<String>,
}

/// What is to be set; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// Of each member: `None` where the request has none.
    pub name: Option<String>,
    /// Addresses and ranges.
    pub networks: Option<Vec<String>>,
    /// The inner `None` means never.
    pub expires_at: Option<Option<i64>>,
    /// What it opens.
    pub scopes: Option<Vec<String>>,
    /// Notes for its maker.
    pub annotations: Option<Vec<Annotation>>,
}

/// Which organization a caller means.
pub enum Lookup {
    /// By its public id.
    Id(String),
    /// By the sub-domain of its organization.
    SubDomain(String),
}

/// One page of tokens.
#[derive(Debug)]
pub struct Page {
    /// Those of the page.
    pub tokens: Vec<Token>,
    /// The public id of their organization.
    pub organization: String,
    /// Of the page, from 1.
    pub number: i64,
    /// How many a page has at most.
    pub per_page: i64,
    /// How many there are in all.
    pub total: i64,
}

impl Page {
    /// Whether there are more than one page has.
    pub fn is_large(&self) -> bool {
        self.total > LARGE_SET
    }
}

/// A token with the public id of its organization, and its secret when it was just made.
#[derive(Debug)]
pub struct Shown {
    /// The token.
    pub token: Token,
    /// The public id of its organization.
    pub organization: String,
    /// Where it was made by this call; shown once.
    pub secret: Option<String>,
}

impl Token {
    /// What is wrong with a token, in sentences.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        let name = self.name.trim();
        if name.is_empty() {
            violations.push("Name can't be blank".to_owned());
        } else if name.chars().count() > NAME_CHARS_MAX {
            violations.push(format!("Name is too long (maximum is {NAME_CHARS_MAX} characters)"));
        }
        if self.networks.len() > LIST_MAX {
            violations.push(format!("Authorized ip addresses are too many (maximum is {LIST_MAX})"));
        }
        for entry in self.networks.iter().filter(|entry| networks::parse(entry).is_none()) {
            violations.push(format!("Authorized ip addresses has an entry that is no address or range: {entry}"));
        }
        for scope in self.scopes.iter().filter(|scope| !scopes::is_known(scope)) {
            violations.push(format!("Scopes has an unknown scope: {scope}"));
        }
        if self.annotations.len() > LIST_MAX {
            violations.push(format!("Annotations are too many (maximum is {LIST_MAX})"));
        }
        for annotation in &self.annotations {
            let too_long = |text: &str| text.chars().count() > ANNOTATION_CHARS_MAX;
            if annotation.key.trim().is_empty() {
                violations.push("Annotations has a key that is blank".to_owned());
            } else if too_long(&annotation.key) || annotation.value.as_deref().is_some_and(too_long) {
                violations.push(format!(
                    "Annotations has a text that is too long (maximum is {ANNOTATION_CHARS_MAX} characters)"
                ));
            }
        }
        violations
    }

    /// What the audit keeps: no secret.
    pub(crate) fn described(&self) -> serde_json::Value {
        json!({
            "name": self.name, "scopes": self.scopes, "authorized_ip_addresses": self.networks,
            "expires_at": self.expires_at,
        })
    }
}

impl Annotation {
    /// Whether this is what is looked for: its key, and its value where one is named.
    pub(crate) fn matches(&self, wanted: &Self) -> bool {
        wanted.key == self.key && (wanted.value.is_none() || wanted.value == self.value)
    }
}

/// Where tokens are looked for: in the account in which they were made.
pub(crate) struct TokenAccount {
    pub(crate) organization_id: OrganizationId,
    pub(crate) account_id: AccountId,
    /// The account of the organization in which tokens act that name none.
    pub(crate) is_first: bool,
}

impl TokenAccount {
    pub(crate) fn of(account_id: AccountId, organization: &Organization) -> Self {
        Self {
            organization_id: organization.id.clone(),
            account_id,
            is_first: organization.account_ids.iter().min() == Some(&account_id),
        }
    }
}
