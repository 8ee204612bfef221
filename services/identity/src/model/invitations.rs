//! Invitations that were not accepted yet.

use std::collections::BTreeMap;

use portolan_api::{Error, Reason, Result};
use portolan_authz::Role;
use portolan_ids::{AccountId, UserId};

use super::{roles, users};

const EMAIL_CHARS_MAX: usize = 254;

/// An invitation that was not accepted yet.
#[derive(Clone)]
pub struct Invitation {
    /// The account that they will join.
    pub account_id: AccountId,
    /// Who is invited.
    pub email: String,
    /// How they are called until they say it themselves.
    pub name: String,
    /// SHA-256 of the code of the link, in hex.
    pub code_digest: String,
    /// Who invited them.
    pub issuer_id: UserId,
    /// The role in each product scope.
    pub scope_roles: BTreeMap<String, String>,
    /// Unix seconds.
    pub expires_at: i64,
}

impl Invitation {
    /// Whether the role with this key would be given by it.
    pub fn names(&self, role_key: &str) -> bool {
        self.scope_roles.values().any(|name| roles::key(name) == role_key)
    }
}

/// What the list of the team says about an invitation.
pub fn sentence(scope_roles: &BTreeMap<String, String>) -> String {
    let label = |scope: &str| match scope {
        "API" => "API Security",
        "AGENTIC" => "Akto ARGUS",
        "ENDPOINT" => "Akto ATLAS",
        _ => "DAST",
    };
    let parts = scope_roles.iter().map(|(scope, role)| {
        let role = Role::parse(role).map_or(role.as_str(), |role| role.display_name());
        format!("{role} on {}", label(scope))
    });
    format!("Invitation sent for {}", parts.collect::<Vec<_>>().join(", "))
}

/// The address as it is compared.
pub fn checked_email(email: &str) -> Result<String> {
    let email = users::login_key(email);
    let invalid = || Error::new(Reason::EmailInvalid);
    let (local, domain) = email.split_once('@').ok_or_else(invalid)?;
    let (name, top) = domain.rsplit_once('.').ok_or_else(invalid)?;
    let local_ok = !local.is_empty()
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-'));
    let name_ok =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let top_ok = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    if local_ok && name_ok && top_ok && email.len() <= EMAIL_CHARS_MAX { Ok(email) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(checked_email(" Ann.B+c@Example.org ").unwrap(), "ann.b+c@example.org");
        for wrong in ["", "a", "a@b", "@b.org", "a@@b.org", "a@b.o", "a@b.o1g", "a b@c.org", "a@b.org\r\nX: y"] {
            assert!(checked_email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_invitation_is_told_by_its_roles() {
        let roles = BTreeMap::from([("API".into(), "MEMBER".into()), ("DAST".into(), "books".into())]);
        assert_eq!(sentence(&roles), "Invitation sent for SECURITY ENGINEER on API Security, books on DAST");
    }
}
