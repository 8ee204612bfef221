use std::collections::HashMap;

use portolan_engine::{Aggregate, ParameterKey};
use portolan_ids::CollectionId;

use crate::model::{endpoints::EndpointId, keys};

/// A parameter, whatever its types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId {
    /// Of the endpoint.
    pub collection_id: CollectionId,
    /// A template.
    pub url: String,
    /// Upper case.
    pub method: String,
    /// -1 for the request.
    pub response_code: i32,
    /// It is a header.
    pub is_header: bool,
    /// As calls spell it.
    pub name: String,
}

impl ParameterId {
    /// What its rows are found by.
    pub fn url_key(&self) -> String {
        keys::endpoint_key(&self.method, &self.url)
    }
}

/// What a user said of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Which parameter it is.
    pub place: ParameterId,
    /// What its rows are found by.
    pub url_key: String,
    /// What it was marked as.
    pub sensitive: bool,
}

/// The marks of some collections, for a look-up by parameter.
#[derive(Debug, Default)]
pub struct Markings(HashMap<(CollectionId, String, i32, bool, String), bool>);

impl FromIterator<Marked> for Markings {
    fn from_iter<T: IntoIterator<Item = Marked>>(list: T) -> Self {
        let entry = |marked: Marked| {
            let place = marked.place;
            let key = (place.collection_id, marked.url_key, place.response_code, place.is_header, place.name);
            (key, marked.sensitive)
        };
        Self(list.into_iter().map(entry).collect())
    }
}

impl Markings {
    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a mark says of a parameter.
    pub fn of(&self, endpoint: &EndpointId, key: &ParameterKey) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let place =
            (endpoint.collection_id, endpoint.url_key(), key.response_code, key.is_header, key.name.to_string());
        self.0.get(&place).copied()
    }

    /// Makes a parameter as sensitive as its mark says.
    pub fn apply(&self, endpoint: &EndpointId, key: &ParameterKey, seen: &mut Aggregate) {
        if let Some(sensitive) = self.of(endpoint, key) {
            seen.sensitive = sensitive;
        }
    }
}
