//! How tightly a credential is bounded.

use portolan_api::{Error, Reason, Result};

use super::{networks, organization_tokens::Token};

/// The bounds of a credential; a session has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    /// Unix seconds from which on it is refused; `None` for never.
    pub(crate) ends_at: Option<i64>,
    /// Addresses and ranges that it may be used from; empty for every one.
    pub(crate) networks: Vec<String>,
    /// Requests a minute; `None` for the configured default.
    pub(crate) rate_limit: Option<i64>,
}

impl Bounds {
    /// What reaches further than this, in words; `None` when nothing does.
    pub(crate) fn exceeded(&self, given: &Self) -> Option<&'static str> {
        let ends_later = self.ends_at.is_some_and(|own| given.ends_at.is_none_or(|given| given > own));
        let ranges: Vec<_> = self.networks.iter().filter_map(|range| networks::parse(range)).collect();
        let holds =
            |range: &String| networks::parse(range).is_some_and(|range| ranges.iter().any(|own| own.contains(&range)));
        let is_wider = !self.networks.is_empty() && (given.networks.is_empty() || !given.networks.iter().all(holds));
        let is_faster = self.rate_limit.is_some_and(|own| given.rate_limit.is_none_or(|given| given > own));
        match (ends_later, is_wider, is_faster) {
            (true, ..) => Some("ends earlier"),
            (_, true, _) => Some("is bounded to addresses"),
            (.., true) => Some("has a lower rate limit"),
            _ => None,
        }
    }

    /// # Errors
    /// `PERMISSION_DENIED` for a token that reaches further.
    pub(crate) fn must_cover(&self, token: &Token) -> Result<()> {
        match self.exceeded(&Self::from(token)) {
            None => Ok(()),
            Some(bound) => {
                let details = format!("The calling credential {bound} than the token {}", token.name);
                Err(Error::new(Reason::PermissionDenied).with("details", details))
            }
        }
    }
}

impl From<&Token> for Bounds {
    fn from(token: &Token) -> Self {
        Self { ends_at: token.expires_at, networks: token.networks.clone(), rate_limit: token.rate_limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(ends_at: Option<i64>, networks: &[&str]) -> Bounds {
        Bounds { ends_at, networks: networks.iter().map(|text| (*text).to_owned()).collect(), rate_limit: None }
    }

    #[test]
    fn bounds_are_ordered() {
        let all = [
            bounds(None, &[]),
            bounds(Some(10), &[]),
            bounds(Some(20), &[]),
            bounds(None, &["10.0.0.0/8"]),
            bounds(None, &["10.1.0.0/16", "10.2.0.1"]),
            bounds(None, &["garbage"]),
            bounds(Some(10), &["10.1.2.3"]),
        ];
        let covers = |a: &Bounds, b: &Bounds| a.exceeded(b).is_none();
        for a in &all {
            assert!(covers(&all[0], a), "{a:?}");
            assert!(covers(a, a) || a.networks == ["garbage"], "{a:?}");
            for b in &all {
                assert!(a == b || !(covers(a, b) && covers(b, a)), "{a:?} {b:?}");
                for c in &all {
                    assert!(!(covers(a, b) && covers(b, c)) || covers(a, c), "{a:?} {b:?} {c:?}");
                }
            }
        }
        assert!(covers(&all[2], &all[1]) && !covers(&all[1], &all[2]));
        assert!(covers(&all[3], &all[4]) && !covers(&all[4], &all[3]));
        assert!(covers(&all[1], &all[6]) && !covers(&all[6], &all[1]));
        let limited = |rate_limit| Bounds { rate_limit, ..Bounds::default() };
        assert!(covers(&limited(None), &limited(Some(9))) && covers(&limited(Some(9)), &limited(Some(8))));
        assert!(!covers(&limited(Some(9)), &limited(Some(10))) && !covers(&limited(Some(9)), &limited(None)));
    }
}
