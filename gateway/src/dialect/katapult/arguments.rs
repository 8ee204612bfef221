//! Arguments: parameters of query and form, a JSON body over them, lookups in the path.
//!
//! # Invariants
//! - A member of the JSON body wins over a parameter, and a lookup that is given wins over the path.
//! - What leaves [`merge`] and [`check::message`] is JSON that the codec takes without a refusal of its own.
//!
//! Start with [`to_wire`].

use http::{HeaderMap, header};
use portolan_api::{Error, Reason, options};
use prost_reflect::Kind;
use serde_json::{Map, Value};

use super::{super::asked::Asked, check, params};
use crate::{
    codec::{self, Manner},
    routes::param_of,
};

/// Parameter that may hold the arguments as JSON text, for clients that send no JSON body.
const ARGUMENTS: &str = "_arguments";

/// Appends the request message of a route.
///
/// # Errors
/// `BODY_NOT_JSON`, `MISSING_REQUIRED_ARGUMENT`, `INVALID_ARGUMENT` with the documented detail.
pub(super) fn to_wire(asked: &Asked<'_>, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let route = asked.route;
    let mut arguments = merge(asked.query(), asked.headers(), body)?;
    let message = route.rpc.descriptor.input();
    for ((name, _), value) in route.pattern.split('/').filter_map(param_of).zip(asked.values) {
        let Some(field) = message.get_field_by_name(name) else { continue };
        if arguments.contains_key(field.json_name()) {
            continue;
        }
        // The path fills the first field of a lookup.
        let first = match field.kind() {
            Kind::Message(lookup) if options::lookup(&lookup) => lookup.fields().next(),
            _ => None,
        };
        let value = Value::from(value.as_str());
        let value = match first {
            Some(first) => Value::from(Map::from_iter([(first.json_name().to_owned(), value)])),
            None => value,
        };
        arguments.insert(field.json_name().to_owned(), value);
    }
    let checked = check::message(&message, arguments)?;
    let json = Value::from(checked).to_string();
    codec::json_to_wire(asked.plans(), route.rpc.request, None, json.as_bytes(), Manner::Strict, out)
}

/// Everything that was given, as one object.
fn merge(query: &str, headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Error> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.trim_start().to_ascii_lowercase();
    let mut given = params::parse(query)?;
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let form = std::str::from_utf8(body).map_err(|_| Error::from(Reason::PathInvalid))?;
        deep_merge(&mut given, params::parse(form)?);
    }
    let json = if content_type.starts_with("application/json") {
        object(body)?
    } else {
        match given.get(ARGUMENTS) {
            Some(Value::String(text)) => object(text.as_bytes())?,
            _ => Map::new(),
        }
    };
    given.remove(ARGUMENTS);
    deep_merge(&mut given, json);
    Ok(given)
}

/// Nothing, or JSON of another kind, is an empty object.
fn object(text: &[u8]) -> Result<Map<String, Value>, Error> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::new(Reason::BodyNotJson).with("detail", error)),
    }
}

fn deep_merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(below)), Value::Object(value)) => deep_merge(below, value),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portolan_api::tokens::v1::{
        CreateOrganizationTokenRequest, ListOrganizationTokensRequest, UpdateOrganizationTokenRequest,
    };
    use prost::Message;
    use serde_json::json;

    use super::*;
    use crate::routes::Routes;

    fn encoded<T: Message + Default>(
        verb: http::Method,
        target: &str,
        kind: &'static str,
        body: &str,
    ) -> Result<T, Error> {
        let routes = Routes::from_contract().unwrap();
        let request = http::Request::builder().uri(target).header(header::CONTENT_TYPE, kind).body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let found = routes.find(parts.uri.path()).unwrap();
        let mut out = Vec::new();
        let route = found.route(&verb).unwrap();
        let asked = Asked { routes: &routes, route, values: &found.values, parts: &parts };
        to_wire(&asked, body.as_bytes(), &mut out)?;
        Ok(T::decode(out.as_slice()).unwrap())
    }

    fn patch(target: &str, body: &str) -> Result<UpdateOrganizationTokenRequest, Error> {
        encoded(http::Method::PATCH, target, "application/json", body)
    }

    fn issue(error: &Error) -> Value {
        let detail: Value = serde_json::from_str(&error.metadata()["detail_json"]).unwrap();
        json!([detail["issue"], detail["path"], detail["index"]])
    }

    #[test]
    fn a_lookup_in_the_body_wins_over_the_path() {
        let id = |request: UpdateOrganizationTokenRequest| request.api_token.unwrap().id.unwrap();
        assert_eq!(id(patch("/core/v1/api_tokens/tok_1", r#"{"properties":{}}"#).unwrap()), "tok_1");
        let both = patch("/api_tokens/api_token", r#"{"api_token":{"id":"tok_2"},"properties":{}}"#).unwrap();
        assert_eq!(id(both), "tok_2");
        let query = patch("/api_tokens/x?api_token[id]=tok_3", r#"{"properties":{}}"#).unwrap();
        assert_eq!(id(query), "tok_3");
        assert_eq!(id(patch("/api_tokens/api_token", r#"{"properties":{}}"#).unwrap()), "api_token");
    }

    #[test]
    fn null_differs_from_absence() {
        let request =
            patch("/api_tokens/t", r#"{"properties":{"expires_at":null,"scopes":[]},"annotations":[]}"#).unwrap();
        assert_eq!(request.properties.unwrap().given, ["expires_at", "scopes"]);
        assert_eq!(request.given, ["api_token", "properties", "annotations"]);
    }

    #[test]
    fn parameters_merge_below_the_body() {
        let request: CreateOrganizationTokenRequest = encoded(
            http::Method::POST,
            "/organizations/organization/api_tokens?organization[sub_domain]=acme&properties[name]=q&properties[scopes][]=a&properties[scopes][]=b",
            "application/json",
            r#"{"properties":{"name":"body"}}"#,
        )
        .unwrap();
        let properties = request.properties.unwrap();
        assert_eq!((properties.name.unwrap(), properties.scopes), ("body".into(), vec!["a".into(), "b".to_owned()]));
        assert_eq!(request.organization.unwrap().sub_domain.unwrap(), "acme");

        let list: ListOrganizationTokensRequest = encoded(
            http::Method::GET,
            "/organizations/o/api_tokens?page=2&annotations[][key]=a&annotations[][value]=1&annotations[][key]=b&annotations[][value]=2",
            "text/plain",
            "",
        )
        .unwrap();
        let pairs: Vec<_> = list.annotations.iter().map(|pair| (pair.key.as_str(), pair.value.as_deref())).collect();
        assert_eq!((list.page, pairs), (Some(2), vec![("a", Some("1")), ("b", Some("2"))]));

        let text = "/api_tokens/t?_arguments=%7B%22properties%22:%7B%22name%22:%22n%22%7D%7D";
        let arguments: UpdateOrganizationTokenRequest = encoded(http::Method::PATCH, text, "text/plain", "").unwrap();
        assert_eq!(arguments.properties.unwrap().name.unwrap(), "n");
    }

    #[test]
    fn faults_name_their_argument() {
        let error = |body: &str| patch("/api_tokens/t", body).unwrap_err();
        assert_eq!(error("{").reason(), Reason::BodyNotJson);
        let missing = error("[1]");
        assert_eq!(missing.reason(), Reason::MissingRequiredArgument);
        assert_eq!(missing.text(), "The argument `properties` is required");
        for (body, expected) in [
            (r#"{"api_token":"x","properties":{}}"#, json!(["object_expected", ["api_token"], null])),
            (r#"{"api_token":{"foo":1},"properties":{}}"#, json!(["missing_lookup_value", ["api_token"], null])),
            (r#"{"properties":{"expires_at":"1"}}"#, json!(["parse_error", ["properties", "expires_at"], null])),
            (r#"{"properties":{"expires_at":1.5}}"#, json!(["parse_error", ["properties", "expires_at"], null])),
            (r#"{"properties":{"expires_at":-1}}"#, json!(["parse_error", ["properties", "expires_at"], null])),
            (r#"{"properties":{"scopes":"a"}}"#, json!(["array_expected", ["properties", "scopes"], null])),
            (r#"{"properties":{"scopes":["a",1]}}"#, json!(["invalid_scalar", ["properties", "scopes"], 1])),
            (r#"{"properties":{"name":{}}}"#, json!(["invalid_scalar", ["properties", "name"], null])),
            (r#"{"properties":[]}"#, json!(["object_expected", ["properties"], null])),
            (r#"{"properties":{},"annotations":[5]}"#, json!(["object_expected", ["annotations"], 0])),
        ] {
            let error = error(body);
            assert_eq!((error.reason(), issue(&error)), (Reason::InvalidArgument, expected), "{body}");
        }
        let both = r#"{"organization":{"id":"a","sub_domain":"b"},"properties":{}}"#;
        let target = "/organizations/organization/api_tokens";
        let error = encoded::<CreateOrganizationTokenRequest>(http::Method::POST, target, "application/json", both);
        assert_eq!(issue(&error.unwrap_err()), json!(["ambiguous_lookup_values", ["organization"], null]));
    }
}
