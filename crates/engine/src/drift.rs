//! What two declarations of one operation have different.

use std::collections::{BTreeMap, BTreeSet};

use portolan_record::{Declaration, DeclaredAuth, DeclaredParameter, Location};
use serde::{Deserialize, Serialize};

/// Differences of one operation that are told; further ones are counted.
const CHANGES_MAX: usize = 50;

/// A declaration as far as callers of the operation depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// The specification marks the endpoint as deprecated.
    pub deprecated: bool,
    /// Status codes of its answers.
    pub codes: BTreeSet<i32>,
    /// How callers authenticate, by the names of the contract.
    pub auth: BTreeSet<String>,
    /// Place and name, as a reader calls it, to what is declared.
    pub parameters: BTreeMap<String, Parameter>,
}

/// A declared parameter or body leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    /// Type and format, such as `string date-time`.
    pub kind: String,
    /// Every call has it.
    pub required: bool,
}

impl From<&Declaration> for Shape {
    fn from(declaration: &Declaration) -> Self {
        Self {
            deprecated: declaration.deprecated,
            codes: declaration.response_codes.iter().copied().collect(),
            auth: declaration.auth.iter().map(|auth| auth_names(auth.schemes())).collect(),
            parameters: declaration.parameters.iter().map(parameter).collect(),
        }
    }
}

impl Shape {
    /// One sentence for each difference of `new` to this shape.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        match (self.deprecated, new.deprecated) {
            (false, true) => changes.push("the operation is now deprecated".to_owned()),
            (true, false) => changes.push("the operation is no longer deprecated".to_owned()),
            _ => {}
        }
        if self.auth != new.auth {
            let names = |auth: &BTreeSet<String>| match auth.is_empty() {
                true => "none".to_owned(),
                false => auth.iter().map(String::as_str).collect::<Vec<_>>().join(" or "),
            };
            changes.push(format!("authentication changed from {} to {}", names(&self.auth), names(&new.auth)));
        }
        for (name, known) in &self.parameters {
            match new.parameters.get(name) {
                None => changes.push(format!("{name} was removed")),
                Some(next) => {
                    if known.kind != next.kind {
                        changes.push(format!("{name} changed from {} to {}", kind(known), kind(next)));
                    }
                    match (known.required, next.required) {
                        (false, true) => changes.push(format!("{name} is now required")),
                        (true, false) => changes.push(format!("{name} is no longer required")),
                        _ => {}
                    }
                }
            }
        }
        for (name, added) in new.parameters.iter().filter(|(name, _)| !self.parameters.contains_key(*name)) {
            let required = if added.required { ", required" } else { "" };
            changes.push(format!("{name} was added ({}{required})", kind(added)));
        }
        changes.extend(self.codes.difference(&new.codes).map(|code| format!("response {code} was removed")));
        changes.extend(new.codes.difference(&self.codes).map(|code| format!("response {code} was added")));
        if changes.len() > CHANGES_MAX {
            let more = changes.len() - CHANGES_MAX;
            changes.truncate(CHANGES_MAX);
            changes.push(format!("{more} more differences"));
        }
        changes
    }
}

fn parameter(parameter: &DeclaredParameter) -> (String, Parameter) {
    let side = match parameter.response_code {
        code if code < 0 => "request".to_owned(),
        code => format!("response {code}"),
    };
    let name = parameter.label.as_deref().unwrap_or(&parameter.name).replace('\0', "\u{fffd}");
    let name = match parameter.location {
        // By its place: its name is for the reader of the document and no caller sends it.
        Location::Path => format!("path parameter {}", parameter.name.parse::<usize>().map_or(0, |index| index + 1)),
        Location::Query => format!("query parameter `{name}`"),
        Location::Cookie => format!("cookie `{name}`"),
        Location::Header => format!("{side} header `{name}`"),
        Location::Body => format!("{side} member `{}`", name.replace('#', ".")),
    };
    let kind = match &parameter.format {
        Some(format) => format!("{} {}", parameter.schema_type, format.replace('\0', "")),
        None => parameter.schema_type.clone(),
    };
    (name, Parameter { kind, required: parameter.required })
}

fn kind(parameter: &Parameter) -> &str {
    if parameter.kind.is_empty() { "any type" } else { &parameter.kind }
}

/// The schemes of one alternative, which a caller uses together.
fn auth_names(schemes: &[DeclaredAuth]) -> String {
    schemes.iter().map(|scheme| auth_name(*scheme)).collect::<Vec<_>>().join(" and ")
}

fn auth_name(auth: DeclaredAuth) -> &'static str {
    match auth {
        DeclaredAuth::ApiKey => "API key",
        DeclaredAuth::Basic => "basic",
        DeclaredAuth::Bearer => "bearer",
        DeclaredAuth::Oauth2 => "OAuth 2.0",
        DeclaredAuth::OpenIdConnect => "OpenID Connect",
        DeclaredAuth::MutualTls => "mutual TLS",
        DeclaredAuth::Http => "another HTTP scheme",
        DeclaredAuth::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(parameters: &[(&str, &str, bool)], codes: &[i32]) -> Shape {
        let declared = |(name, schema_type, required): &(&str, &str, bool)| DeclaredParameter {
            location: Location::Query,
            response_code: -1,
            name: (*name).to_owned(),
            label: None,
            schema_type: (*schema_type).to_owned(),
            format: None,
            required: *required,
            examples: Vec::new(),
        };
        let parameters = parameters.iter().map(declared).collect();
        Shape::from(&Declaration { parameters, response_codes: codes.to_vec(), ..Declaration::default() })
    }

    #[test]
    fn every_difference_is_told() {
        let old = shape(&[("a", "integer", false), ("b", "string", true)], &[200, 404]);
        let mut new = shape(&[("a", "string", true), ("c", "string", true)], &[200, 410]);
        new.deprecated = true;
        assert_eq!(
            old.changes(&new),
            [
                "the operation is now deprecated",
                "query parameter `a` changed from integer to string",
                "query parameter `a` is now required",
                "query parameter `b` was removed",
                "query parameter `c` was added (string, required)",
                "response 404 was removed",
                "response 410 was added",
            ]
        );
        assert!(old.changes(&old).is_empty());
    }
}
