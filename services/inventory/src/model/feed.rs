use portolan_engine::template::SplitUrl;
use portolan_ids::{AccountId, CollectionId};

/// What became of one effective URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChange {
    /// What its rows are found by.
    pub url_key: String,
    /// Nothing for an endpoint that was never there.
    pub endpoint_id: Option<i64>,
    /// What the edge is told.
    pub shown: Shown,
    /// It is gone.
    pub removed: bool,
    /// What it takes over with this change.
    pub taken_over: TakenOver,
}

/// What an endpoint takes over from those that became part of it, beside what it has itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Calls of one of them are not let through.
    pub inactive: bool,
    /// Unix seconds of the last test of any.
    pub last_tested: i64,
}

impl TakenOver {
    /// Takes over what another has too.
    pub fn join(&mut self, other: Self) {
        self.inactive |= other.inactive;
        self.last_tested = self.last_tested.max(other.last_tested);
    }
}

/// The state of an endpoint at its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeEndpoint {
    /// Its number in the feed.
    pub version: i64,
    /// Unique in the installation.
    pub endpoint_id: i64,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// Of the collection.
    pub host_name: Option<String>,
    /// In capital letters.
    pub method: String,
    /// A template, with or without a host.
    pub url: String,
    /// Whether calls of the collection pass.
    pub active: bool,
    /// It is gone.
    pub removed: bool,
}

impl EdgeEndpoint {
    /// Host in lower case and path; the host is empty when none is known.
    pub fn host_and_path(&self) -> (String, String) {
        if self.removed {
            return (String::new(), String::new());
        }
        let origin = SplitUrl::new(&self.url).origin;
        let path = &self.url[origin.len()..];
        let authority = origin.split_once("//").map_or("", |(_, authority)| authority);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match (&self.host_name, authority) {
            (Some(host), "") => host,
            (_, authority) => authority,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (host.to_lowercase(), path)
    }
}

/// An endpoint as the raw rows show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// In capital letters.
    pub method: String,
    /// A template, with or without a host.
    pub url: String,
    /// Unix seconds.
    pub discovered_at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_come_from_the_url_or_the_collection() {
        let of = |host: Option<&str>, url: &str| {
            EdgeEndpoint {
                version: 1,
                endpoint_id: 1,
                account_id: AccountId(1),
                collection_id: CollectionId(1),
                host_name: host.map(str::to_owned),
                method: "GET".into(),
                url: url.into(),
                active: true,
                removed: false,
            }
            .host_and_path()
        };
        assert_eq!(
            of(None, "https://API.example.com:8443/a/INTEGER"),
            ("api.example.com:8443".into(), "/a/INTEGER".into())
        );
        assert_eq!(of(Some("h.example.com"), "/a"), ("h.example.com".into(), "/a".into()));
        assert_eq!(of(None, "/a"), (String::new(), "/a".into()));
        assert_eq!(of(None, "https://api.example.com"), ("api.example.com".into(), "/".into()));
    }
}
