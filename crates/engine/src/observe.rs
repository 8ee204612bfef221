use std::collections::BTreeSet;

use portolan_path::{CanonicalUrl, Segment, Template, without_matrix};
use portolan_record::{Declaration, Location, Record, Source};

use crate::auth::AuthSet;
use crate::credentials::{self, holds_credential};
use crate::endpoint_kind::Call;
use crate::headers::Headers;
use crate::sighting::{NAME_BYTES_MAX, Place, Sighting, Sightings, compared_names, cut, without_nul};
use crate::template::{BodyNames, RawEndpoint, SplitUrl, decoded, shape, without_query};
use crate::{ApiType, Detectors, EndpointKind, Method, REQUEST, body, declared, host};

/// What one record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The record is not looked at, for this reason.
    Dropped(DropReason),
    /// One entry per endpoint that the record speaks of.
    Seen(Vec<Observation>),
}

/// Why a record says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The call is not over.
    Pending,
    /// The request carries the header `x-akto-ignore`.
    Ignored,
    /// A preflight or another call of the method OPTIONS.
    Options,
    /// A tunnel through a proxy: what passes it is not seen.
    Tunnel,
}

/// One endpoint as one record shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The method of the call.
    pub method: Method,
    /// The template of the record's URL alone, without query and fragment; absolute if the record's is. The URL of a
    /// declared operation is the one that the document gives.
    pub raw_url: String,
    /// The host that was called, in lower case and without a default port.
    pub host: Option<String>,
    /// A success (2xx, 302, or an upgrade), a request of Postman without answer, or a declaration. Any other answer counts only under
    /// its status, and shows no parameters and no authentication.
    pub proves_endpoint: bool,
    /// A specification declares the operation; no call was made.
    pub declared: bool,
    /// The answer's status, below 1000; 0 where there was none.
    pub status_code: i32,
    /// Further URLs of a declared operation, at its other servers.
    pub addresses: Vec<String>,
    /// Status codes that a specification declares.
    pub declared_codes: Vec<i32>,
    /// Unix seconds; 0 when the sender did not know.
    pub time: i64,
    /// How the record reached the inventory.
    pub source: Source,
    /// One set for a call; one for each alternative of a declaration.
    pub auth_sets: Vec<AuthSet>,
    /// What the call speaks.
    pub api_type: ApiType,
    /// What the call is for those who look for APIs.
    pub kind: EndpointKind,
    /// Every parameter of the call, each once.
    pub parameters: Vec<Sighting>,
    /// In the words of a specification.
    pub description: Option<String>,
    /// A specification marks the endpoint as deprecated.
    pub deprecated: bool,
    /// What a specification sorts the operation under, sorted.
    pub tags: Vec<String>,
    /// What a specification calls the variables of the path, in their order; empty where it calls one nothing.
    pub variables: Vec<String>,
}

/// Reads one record. The result depends on the record and the detectors alone.
pub fn observe(record: &Record<'_>, detectors: &Detectors) -> Verdict {
    if record.pending {
        return Verdict::Dropped(DropReason::Pending);
    }
    let method = Method::parse(&record.method);
    if let Some(declaration) = &record.declaration {
        return Verdict::Seen(vec![observe_declaration(record, method, declaration, detectors)]);
    }
    if method == Method::Options {
        return Verdict::Dropped(DropReason::Options);
    }
    if method == Method::Connect {
        return Verdict::Dropped(DropReason::Tunnel);
    }
    let headers = Headers::parse(&record.request_headers);
    if headers.get("x-akto-ignore").is_some() {
        return Verdict::Dropped(DropReason::Ignored);
    }
    Verdict::Seen(vec![observe_call(record, method, &headers, detectors)])
}

impl DropReason {
    /// In counts of dropped records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ignored => "IGNORED",
            Self::Options => "OPTIONS",
            Self::Tunnel => "TUNNEL",
        }
    }
}

impl Observation {
    /// What the catalog of templates has to know of it.
    pub fn raw_endpoint(&self) -> RawEndpoint {
        let mut bodies = BodyNames::default();
        if self.proves_endpoint && !self.declared && self.status_code > 0 {
            bodies.add_code(self.status_code);
        }
        compared_names(self.parameters.iter().map(|sighting| &sighting.key), &mut bodies);
        RawEndpoint {
            method: self.method,
            url: self.raw_url.clone(),
            pinned: self.declared,
            addresses: self.addresses.iter().cloned().collect(),
            proven: self.proves_endpoint,
            never_merge: false,
            bodies,
        }
    }
}

/// The raw URL of calls to a path: its one spelling, without query, fragment, matrix parameters and user information, and
/// with its kind in place of each segment that is visibly an identifier. Once more it changes nothing.
pub fn raw_url_of(path: &str, detectors: &Detectors) -> String {
    let path = without_nul(path);
    let url = CanonicalUrl::parse(&path).without_query();
    shape(&without_matrix(&url), detectors).0.into_owned()
}

/// The URL parameters that a raw URL has only as part of its effective URL: for each segment that is literal in the one
/// and variable in the other, a sighting of the token. They count once for every record of the raw URL.
pub fn joined_parameters(raw_url: &str, effective_url: &str, detectors: &Detectors) -> Vec<Sighting> {
    let mut sightings = Sightings::new(detectors);
    let (raw, effective) = (SplitUrl::new(raw_url), SplitUrl::new(effective_url));
    let tokens: Vec<&str> = raw.segments().filter(|token| !token.is_empty()).collect();
    let template = Template::of_words(effective.path);
    let is_greedy = matches!(template.segments.last(), Some(Segment::Greedy(_)));
    // Servers may differ in what stands before the path of the operation.
    let skipped = if is_greedy { 0 } else { tokens.len().saturating_sub(template.segments.len()) };
    for (index, segment) in template.segments.iter().enumerate() {
        let Some(token) = tokens.get(index + skipped) else { break };
        match segment {
            Segment::Literal(_) => {}
            Segment::Greedy(_) => add_segment(index, &tokens[index + skipped..].join("/"), &mut sightings),
            _ if segment.words() == *token => {}
            Segment::Variable(_) => add_segment(index, token, &mut sightings),
            Segment::Mixed(_) => {
                let text = decoded(token);
                for part in segment.captured(&text).unwrap_or_default() {
                    add_segment(index, part, &mut sightings);
                }
            }
        }
    }
    sightings.finish()
}

fn observe_call(record: &Record<'_>, method: Method, headers: &Headers<'_>, detectors: &Detectors) -> Observation {
    let path = without_nul(&record.path);
    let canonical = CanonicalUrl::parse(&path);
    let url = canonical.without_query();
    let url = without_matrix(&url);
    let (raw_url, segments) = shape(&url, detectors);
    // No server sends other codes, and each kept code costs an entry.
    let status = if (0..1000).contains(&record.status_code) { record.status_code } else { 0 };
    let response_headers = Headers::parse(&record.response_headers);
    let proves_endpoint = matches!(status, 101 | 200..300 | 302) || (record.source == Source::Postman && status == 0);
    let mut sightings = Sightings::new(detectors);
    if proves_endpoint {
        for segment in &segments {
            add_segment(segment.index, segment.token, &mut sightings);
        }
        if let Some(query) = canonical.query {
            body::read_pairs(query, REQUEST, Place::Query, &mut sightings);
        }
        add_headers(headers, REQUEST, &mut sightings);
        body::read(&record.request_payload, REQUEST, headers, &mut sightings);
        if status > 0 {
            add_headers(&response_headers, status, &mut sightings);
            body::read(&record.response_payload, status, &response_headers, &mut sightings);
        }
    }
    let api_type = match canonical.is_websocket || status == 101 {
        true => ApiType::Websocket,
        false => ApiType::of_call(method, &url, headers, &record.request_payload),
    };
    let kind = EndpointKind::of_call(&Call {
        method,
        path: &canonical.path,
        query: canonical.query.unwrap_or_default(),
        api_type,
        request: headers,
        response: &response_headers,
        request_payload: &record.request_payload,
    });
    Observation {
        method,
        host: host::host_of(headers),
        proves_endpoint,
        declared: false,
        status_code: status,
        addresses: Vec::new(),
        declared_codes: Vec::new(),
        time: record.time,
        source: record.source,
        auth_sets: if proves_endpoint {
            vec![auth_of(headers, canonical.query.unwrap_or_default())]
        } else {
            Vec::new()
        },
        api_type,
        kind,
        parameters: sightings.finish(),
        description: None,
        deprecated: false,
        tags: Vec::new(),
        variables: Vec::new(),
        raw_url: raw_url.into_owned(),
    }
}

/// What headers, cookies and query say of who makes the call.
fn auth_of(headers: &Headers<'_>, query: &str) -> AuthSet {
    let names = query.split('&').take(QUERY_NAMES_MAX).filter_map(|pair| pair.split_once('='));
    let found =
        names.filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| credentials::of_query(name, value));
    AuthSet::of_request(headers).with(found)
}

/// Pairs of a query that may show a credential.
const QUERY_NAMES_MAX: usize = 1_000;

fn observe_declaration(
    record: &Record<'_>,
    method: Method,
    declaration: &Declaration,
    detectors: &Detectors,
) -> Observation {
    let headers = Headers::parse(&record.request_headers);
    let path = without_nul(&record.path);
    let url = without_query(&path);
    let mut sightings = Sightings::new(detectors);
    for parameter in &declaration.parameters {
        declared::read(parameter, &mut sightings);
    }
    let mut auth_sets: Vec<_> = declaration.auth.iter().map(|auth| AuthSet::of_declared(auth.schemes())).collect();
    if auth_sets.is_empty() {
        auth_sets.push(AuthSet::from_iter([]));
    }
    let api_type = ApiType::of_call(method, url, &headers, &record.request_payload);
    Observation {
        method,
        raw_url: url.to_string(),
        host: host::host_of(&headers),
        proves_endpoint: true,
        declared: true,
        status_code: 0,
        addresses: declaration.addresses.iter().map(|url| without_nul(url).into_owned()).collect(),
        declared_codes: declaration.response_codes.iter().copied().filter(|code| (100..1000).contains(code)).collect(),
        time: record.time,
        source: record.source,
        auth_sets,
        api_type,
        kind: match api_type {
            ApiType::Websocket => EndpointKind::Websocket,
            ApiType::Graphql => EndpointKind::Graphql,
            ApiType::Grpc | ApiType::Soap => EndpointKind::Rpc,
            ApiType::Rest => EndpointKind::Api,
        },
        parameters: sightings.finish(),
        variables: variables(declaration),
        description: declaration.summary.as_deref().map(|summary| without_nul(summary).into_owned()),
        deprecated: declaration.deprecated,
        tags: declaration
            .tags
            .iter()
            .map(|tag| without_nul(tag).into_owned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
    }
}

/// The names of the variables of the path, as far as they can stand in a document.
fn variables(declaration: &Declaration) -> Vec<String> {
    let mut named: Vec<(usize, &str)> = declaration
        .parameters
        .iter()
        .filter(|parameter| parameter.location == Location::Path)
        .filter_map(|parameter| Some((parameter.name.parse().ok()?, parameter.label.as_deref().unwrap_or_default())))
        .collect();
    named.sort_by_key(|(index, _)| *index);
    let names = named.into_iter().flat_map(|(_, label)| label.split(','));
    names.take(VARIABLES_MAX).map(|name| without_nul(cut(name, VARIABLE_BYTES_MAX)).into_owned()).collect()
}

/// Variables of a path whose names are kept, and the bytes of each.
const VARIABLES_MAX: usize = 100;
const VARIABLE_BYTES_MAX: usize = 100;

fn add_segment(index: usize, token: &str, sightings: &mut Sightings<'_>) {
    sightings.add_text(REQUEST, Place::Url, &index.to_string(), "", &decoded(token));
}

fn add_headers(headers: &Headers<'_>, code: i32, sightings: &mut Sightings<'_>) {
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        let name = without_nul(cut(name, NAME_BYTES_MAX));
        let (found, is_credential) = sightings.detectors.detect_header(&name, value);
        let is_secret = is_credential || holds_credential(value);
        sightings.add(code, Place::Header, &name, found, Some(value), is_secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubType;
    use portolan_record::{DeclaredAuth, DeclaredParameter};
    use proptest::prelude::*;

    fn seen(record: &Record<'_>) -> Observation {
        match observe(record, &Detectors::default()) {
            Verdict::Seen(mut list) => list.remove(0),
            Verdict::Dropped(reason) => panic!("dropped: {reason:?}"),
        }
    }

    fn call<'a>(method: &'a str, path: &'a str, status_code: i32) -> Record<'a> {
        Record { method: method.into(), path: path.into(), status_code, time: 7, ..Record::default() }
    }

    fn shown(observation: &Observation) -> Vec<(i32, &str, &'static str, Option<&str>)> {
        let parameters = observation.parameters.iter();
        parameters
            .map(|found| (found.key.response_code, &*found.key.name, found.key.sub_type.name(), found.value.as_deref()))
            .collect()
    }

    #[test]
    fn a_call_shows_its_parameters() {
        let observation = seen(&Record {
            request_headers: r#"{"Host":"API.example.com","Authorization":"Bearer x"}"#.into(),
            request_payload: r#"{"name":"Jane"}"#.into(),
            response_headers: r#"{"Content-Type":"application/json"}"#.into(),
            response_payload: r#"{"id":7,"ip":"8.8.8.8","at":"127.0.0.1"}"#.into(),
            ..call("post", "/users/42?page=2&page=3#top", 201)
        });
        assert_eq!(observation.raw_url, "/users/INTEGER");
        assert_eq!(observation.host.as_deref(), Some("api.example.com"));
        assert_eq!((observation.method, observation.proves_endpoint), (Method::Post, true));
        let expected = [
            (-1, "name", "GENERIC", Some("Jane")),
            (-1, "page", "INTEGER_32", Some("2")),
            (-1, "page", "INTEGER_32", Some("3")),
            (-1, "1", "INTEGER_32", Some("42")),
            (-1, "authorization", "GENERIC", None),
            (-1, "host", "GENERIC", Some("API.example.com")),
            (201, "at", "IP_ADDRESS", Some("127.0.0.1")),
            (201, "id", "INTEGER_32", Some("7")),
            (201, "ip", "IP_ADDRESS", Some("8.8.8.8")),
            (201, "content-type", "GENERIC", Some("application/json")),
        ];
        let mut shown = shown(&observation);
        shown.sort_unstable();
        let mut sorted = expected;
        sorted.sort_unstable();
        assert_eq!(shown, sorted);
        let counted = observation.parameters.iter().filter(|found| found.key.name == "page" && !found.repeats);
        assert_eq!(counted.count(), 1);
        let sensitive: Vec<_> = observation.parameters.iter().filter(|found| found.sensitive).collect();
        assert_eq!(sensitive.len(), 1);
        assert_eq!(sensitive[0].key.name, "ip");
        assert!(observation.raw_endpoint().proven);
    }

    #[test]
    fn a_key_in_the_query_is_told_by_its_value_and_never_kept() {
        let of_key = |value: &str| {
            let url = format!("/maps?key={value}&zoom=3");
            let observation = seen(&call("GET", &url, 200));
            let key = observation.parameters.iter().find(|sighting| sighting.key.name == "key").unwrap();
            let kept = key.value.as_deref().map(str::to_owned);
            (observation.auth_sets.iter().any(|set| set.contains(crate::AuthType::ApiKey)), kept)
        };
        assert_eq!(of_key("AIzaSyD4x9Qw7LmN2pR8tV1bC3fH6jK0gE5aBcD"), (true, None));
        assert_eq!(of_key("8f14e45fceea167a5a36dedd4bea2543"), (true, None));
        assert_eq!(of_key("orders"), (false, Some("orders".to_owned())));
        assert_eq!(of_key("summer-sale-2024-banner"), (false, Some("summer-sale-2024-banner".to_owned())));
    }

    #[test]
    fn other_answers_show_nothing_but_their_status() {
        for status in [100, 301, 304, 404, 500] {
            let observation = seen(&call("GET", "/users/42?a=1", status));
            assert!(
                !observation.proves_endpoint && observation.parameters.is_empty() && observation.auth_sets.is_empty()
            );
            assert_eq!(observation.raw_url, "/users/INTEGER");
        }
        assert!(seen(&call("GET", "/a", 302)).proves_endpoint);
        assert!(!seen(&call("GET", "/a", 0)).proves_endpoint);
        assert!(seen(&Record { source: Source::Postman, ..call("GET", "/a", 0) }).proves_endpoint);
    }

    #[test]
    fn some_records_are_dropped() {
        let detectors = Detectors::default();
        let dropped = |record: Record<'_>| observe(&record, &detectors);
        assert_eq!(dropped(call("options", "/a", 200)), Verdict::Dropped(DropReason::Options));
        assert_eq!(dropped(Record { pending: true, ..call("GET", "/a", 200) }), Verdict::Dropped(DropReason::Pending));
        let ignored = Record { request_headers: r#"{"X-Akto-Ignore":"0"}"#.into(), ..call("GET", "/a", 200) };
        assert_eq!(dropped(ignored), Verdict::Dropped(DropReason::Ignored));
    }

    #[test]
    fn a_declaration_is_taken_as_written() {
        let parameter = |location, name: &str, schema_type: &str| DeclaredParameter {
            location,
            response_code: -1,
            name: name.to_string(),
            label: None,
            schema_type: schema_type.to_string(),
            format: None,
            required: true,
            examples: Vec::new(),
        };
        let declaration = Declaration {
            deprecated: true,
            tags: vec!["users".to_string(), "core".to_string(), "users".to_string()],
            summary: Some("Gets a user.".to_string()),
            response_codes: vec![200, 404],
            parameters: vec![
                parameter(Location::Path, "2", "integer"),
                parameter(Location::Header, "X-Trace", "string"),
            ],
            addresses: Vec::new(),
            auth: vec![DeclaredAuth::ApiKey.into(), DeclaredAuth::None.into()],
            specification: None,
        };
        let observation =
            seen(&Record { declaration: Some(Box::new(declaration)), ..call("OPTIONS", "/api123x/users/INTEGER", 0) });
        assert_eq!(observation.raw_url, "/api123x/users/INTEGER");
        assert!(observation.declared && observation.proves_endpoint && observation.deprecated);
        assert_eq!(observation.tags, ["core", "users"]);
        assert_eq!(shown(&observation), [(-1, "2", "INTEGER_32", None), (-1, "x-trace", "GENERIC", None)]);
        assert!(observation.parameters[0].key.is_url_param && observation.parameters[1].key.is_header);
        assert_eq!(observation.auth_sets.len(), 2);
        assert!(observation.raw_endpoint().pinned);
    }

    #[test]
    fn joining_a_template_makes_url_parameters() {
        let found = joined_parameters(
            "https://h/users/jane@mail.org/INTEGER",
            "https://h/users/STRING/INTEGER",
            &Detectors::default(),
        );
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].key.name, found[0].key.sub_type), ("1", SubType::Email));
        assert!(found[0].key.is_url_param && found[0].sensitive);
    }

    proptest! {
        #[test]
        fn a_raw_url_is_its_own(
            path in "(/(v[0-9]|[a-z]{0,6}|@[a-z]{2,5}|[0-9]{1,8}|[A-Za-z0-9]{6,12}|[0-9a-f]{8}|20[0-9]{2}-[01][0-9](-[0-3][0-9])?|[a-z]{3}%40[a-z]{3}\\.org)([:.@'(,)=-]([a-z0-9]{1,6}|csv|png|js|com|cancel|[0-9]{4}))?){1,4}/?"
        ) {
            let detectors = Detectors::default();
            let once = raw_url_of(&path, &detectors);
            prop_assert_eq!(raw_url_of(&once, &detectors), once, "{}", path);
        }
    }

    #[test]
    fn hostile_records_are_read() {
        for text in ["\0", "/\0?\0=\0", "?", "#", "http://", "https:///", "//", "/%", "/%zz%ff?%=%&&==", "/é?é=é"] {
            let observation = seen(&Record {
                request_headers: "{\"\\u0000\":\"\\u0000\"}".into(),
                request_payload: "{\"a\\u0000\":\"\\u0000\"}".into(),
                ..call("GET", text, 200)
            });
            assert!(!observation.raw_url.contains('\0'));
            assert!(observation.parameters.iter().all(|found| {
                !found.key.name.contains('\0') && !found.value.as_deref().unwrap_or_default().contains('\0')
            }));
        }
    }
}
