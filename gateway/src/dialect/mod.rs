//! The dialects of the contract: the one place that names their prefixes, fields, texts and reasons.
//!
//! Everything else in the gateway asks [`Rules`] through [`of`], or [`of_path`] where no route is known.

mod akto;
mod asked;
mod example;
mod json;
mod katapult;
mod portolan;
mod rules;
mod workato;

pub(crate) use asked::Asked;
pub(crate) use example::example_text;
use portolan_api::Dialect;
pub(crate) use rules::{Form, Rules, Told};

use crate::routes::Rpc;

/// Every dialect, in the order in which callers read of them.
pub(crate) const ALL: [&dyn Rules; 4] = [&akto::Akto, &workato::Workato, &katapult::Katapult, OWN];
/// That of paths of our own, and of those that belong to nobody.
pub(crate) const OWN: &dyn Rules = &portolan::Portolan;

/// The rules of the dialect that stands beside an RPC.
pub(crate) fn of(dialect: Dialect) -> &'static dyn Rules {
    match dialect {
        Dialect::Akto => &akto::Akto,
        Dialect::Workato => &workato::Workato,
        Dialect::Katapult => &katapult::Katapult,
        Dialect::Portolan | Dialect::Unspecified => OWN,
    }
}

/// The rules of a path that may not exist, by its prefix.
pub(crate) fn of_path(path: &str) -> &'static dyn Rules {
    let is_below =
        |prefix: &&&str| path.strip_prefix(**prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let matched = ALL.into_iter().filter_map(|rules| {
        let longest = rules.prefixes().iter().filter(is_below).map(|prefix| prefix.len()).max()?;
        Some((longest, rules))
    });
    matched.max_by_key(|(length, _)| *length).map_or(OWN, |(_, rules)| rules)
}

impl Form {
    /// That of a route.
    pub fn of(rpc: &Rpc) -> Self {
        Self { rules: of(rpc.policy.dialect), has_error_member: rpc.policy.error_member, is_oauth: rpc.is_oauth }
    }

    /// That of a path that may not exist.
    pub fn of_path(path: &str) -> Self {
        Self::plain(of_path(path))
    }

    /// That of a dialect where no route is known.
    pub fn plain(rules: &'static dyn Rules) -> Self {
        Self { rules, has_error_member: false, is_oauth: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Routes;

    #[test]
    fn dialects_follow_the_prefix() {
        let cases = [
            ("/api/x", Dialect::Akto),
            ("/auth/login", Dialect::Akto),
            ("/api/managed_users/1/x", Dialect::Workato),
            ("/api/managed_usersx", Dialect::Akto),
            ("/api/v2/api_clients", Dialect::Workato),
            ("/core/v1/x", Dialect::Katapult),
            ("/api_tokens/1", Dialect::Katapult),
            ("/v1/jobs", Dialect::Portolan),
            ("/apix", Dialect::Portolan),
            ("/", Dialect::Portolan),
            ("", Dialect::Portolan),
            ("*", Dialect::Portolan),
        ];
        for (path, dialect) in cases {
            assert_eq!(of_path(path).id(), dialect, "{path}");
        }
    }

    /// What is said of a path without its route is what its route says.
    #[test]
    fn every_route_lies_below_its_dialect() {
        let routes = Routes::from_contract().unwrap();
        for route in &routes.list {
            assert_eq!(of_path(&route.pattern).id(), of(route.rpc.policy.dialect).id(), "{}", route.pattern);
        }
    }
}
