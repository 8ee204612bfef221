//! The environment that a host's name tells.

use crate::model::collections::Tag;

/// The tag that names a collection's environment; a collection has one at most.
pub const ENV_TYPE: &str = "envType";

/// Parts of host names and the environment that each stands for, the first hit counts.
const PARTS: [(&str, &str); 23] = [
    ("staging", "STAGING"),
    ("qa", "QA"),
    ("dev", "DEV"),
    ("integ", "INTEG"),
    ("uat", "UAT"),
    ("preprod", "PREPROD"),
    ("demo", "STAGING"),
    ("test", "STAGING"),
    ("svc", "STAGING"),
    ("localhost", "STAGING"),
    ("local", "STAGING"),
    ("intranet", "STAGING"),
    ("lan", "STAGING"),
    ("example", "STAGING"),
    ("invalid", "STAGING"),
    ("home", "STAGING"),
    ("corp", "STAGING"),
    ("priv", "STAGING"),
    ("localdomain", "STAGING"),
    ("localnet", "STAGING"),
    ("network", "STAGING"),
    ("int", "STAGING"),
    ("private", "STAGING"),
];

/// The environment of a host, if its name tells one. A part counts when it begins a label after the first and a letter
/// does not follow, so that `device.com` is no `dev`.
fn of_host(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    let labels = || name.split('.').skip(1);
    let begins = |part: &str| {
        labels().any(|label| label.strip_prefix(part).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)))
    };
    let found = PARTS.iter().find(|(part, _)| begins(part)).map(|(_, environment)| *environment);
    found.or_else(|| (name.contains("kubernetes") || name.contains("internal")).then_some("INTERNAL"))
}

/// The tag that a collection of a host has as long as nobody gave it others.
pub fn tag_of_host(host: &str, created_at: i64) -> Option<Tag> {
    of_host(host).map(|environment| Tag {
        key_name: ENV_TYPE.to_owned(),
        value: environment.to_owned(),
        source: Some("AKTO".to_owned()),
        updated_at: created_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_environments() {
        for (host, expected) in [
            ("akto.demo.io", Some("STAGING")),
            ("akto.svc.local", Some("STAGING")),
            ("locahost:3000", None),
            ("akto.localnet", Some("STAGING")),
            ("kubernetes-api.example.com", Some("STAGING")),
            ("kubernetes-7f.acme.com", Some("INTERNAL")),
            ("api.QA.acme.com:8443", Some("QA")),
            ("api.dev-2.acme.com", Some("DEV")),
            ("my.device.com", None),
            ("db.internal", Some("INTERNAL")),
            ("api.acme.com", None),
        ] {
            assert_eq!(of_host(host), expected, "{host}");
        }
    }
}
