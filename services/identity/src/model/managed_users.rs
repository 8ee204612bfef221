//! Customer workspaces.

use portolan_ids::AccountId;
use serde::Serialize;

/// A customer workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ManagedUser {
    /// Its account.
    pub id: AccountId,
    /// As the vendor calls it.
    pub name: String,
    /// The vendor's own id.
    pub external_id: Option<String>,
    /// Where notices go.
    #[serde(skip)]
    pub notification_email: Option<String>,
    /// Where the vendor embeds it.
    pub origin_url: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// How a path names a customer workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// By the id of the workspace.
    Id(AccountId),
    /// By the vendor's own id.
    ExternalId(String),
}

impl Key {
    /// Digits are an id, a leading `E` marks an external id; anything else names nothing.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(external_id) = text.strip_prefix('E') {
            return (!external_id.is_empty()).then(|| Self::ExternalId(external_id.to_owned()));
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self::Id)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_number_or_an_external_id() {
        assert_eq!(Key::parse("42"), Some(Key::Id(AccountId(42))));
        assert_eq!(Key::parse("E42"), Some(Key::ExternalId("42".into())));
        assert_eq!(Key::parse("Ea/b c"), Some(Key::ExternalId("a/b c".into())));
        for nothing in ["", "E", "A2300", "-1", "4 2", "99999999999999999999"] {
            assert_eq!(Key::parse(nothing), None, "{nothing}");
        }
    }
}
