use http::{HeaderMap, HeaderName, request::Parts};

use crate::{
    codec::Plans,
    routes::{Route, Routes},
};

/// A request whose route is found, without its body.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub routes: &'r Routes,
    pub route: &'r Route,
    /// The decoded parameters of the path.
    pub values: &'r [String],
    pub parts: &'r Parts,
}

impl<'r> Asked<'r> {
    pub fn plans(&self) -> &'r Plans {
        &self.routes.plans
    }

    pub fn headers(&self) -> &'r HeaderMap {
        &self.parts.headers
    }

    /// The text of a header; empty when it is absent or no text.
    pub fn header(&self, name: HeaderName) -> &'r str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn query(&self) -> &'r str {
        self.parts.uri.query().unwrap_or_default()
    }
}
