//! The files under `cases`, read up to the endpoints that they make. Each is what one kind of document or traffic needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use portolan_engine::drift::Shape;
use portolan_engine::template::Catalog;
use portolan_engine::{ApiType, Detectors, EndpointDelta, Verdict, observe};
use portolan_formats::openapi::Document;
use portolan_formats::{Target, har, postman};
use portolan_record::{Record, Source};

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn target(source: Source) -> Target {
    Target { account_id: 1, collection_id: 7, time: 1_800_000_000, source }
}

fn owned(record: &Record<'_>) -> Record<'static> {
    Record::parse(Box::leak(record.to_json().into_boxed_str())).unwrap()
}

fn specification(name: &str) -> Vec<Record<'static>> {
    let document = Document::parse(&bytes(name)).unwrap();
    document.operations(&target(Source::OpenApi)).map(|outcome| owned(&outcome.record.unwrap())).collect()
}

fn capture(name: &str) -> Vec<Record<'static>> {
    let mut records = Vec::new();
    har::convert_slice(&bytes(name), &target(Source::Har), &mut |item| {
        if let har::Item::Record(record) = item {
            records.push(owned(&record));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    records
}

fn collection(name: &str) -> Vec<Record<'static>> {
    let document = postman::Document::parse(&bytes(name)).unwrap();
    let mut records = Vec::new();
    for collection in document.collections() {
        collection.convert(&target(Source::Postman), &mut |outcome| {
            records.extend(outcome.records);
            ControlFlow::Continue(())
        });
    }
    records
}

/// What is known of an endpoint, all its raw URLs together.
type Endpoints = BTreeMap<String, EndpointDelta>;

fn endpoints(records: &[Record<'_>]) -> Endpoints {
    let detectors = Detectors::default();
    let mut raws: BTreeMap<String, EndpointDelta> = BTreeMap::new();
    for record in records {
        let Verdict::Seen(list) = observe(record, &detectors) else { continue };
        for observation in list {
            let key = format!("{} {}", observation.method.name(), observation.raw_url);
            match raws.get_mut(&key) {
                Some(known) => known.fold(observation),
                None => _ = raws.insert(key, EndpointDelta::new(observation)),
            }
        }
    }
    let mut catalog = Catalog::default();
    for raw in raws.values() {
        catalog.update(&raw.raw_endpoint());
    }
    let mut endpoints = Endpoints::new();
    for raw in raws.into_values().filter(|raw| raw.proven) {
        let url = catalog.effective(raw.method, &raw.raw_url).unwrap();
        let key = format!("{} {url}", raw.method.name());
        match endpoints.get_mut(&key) {
            Some(known) => known.merge(raw),
            None => _ = endpoints.insert(key, raw),
        }
    }
    endpoints
}

fn names(endpoints: &Endpoints) -> Vec<&str> {
    endpoints.keys().map(String::as_str).collect()
}

fn auth(endpoint: &EndpointDelta) -> Vec<Vec<&'static str>> {
    endpoint.facts.auth_sets.iter().map(|set| set.iter().map(|auth| auth.name()).collect()).collect()
}

fn parameters(endpoint: &EndpointDelta) -> BTreeSet<String> {
    let keys = endpoint.parameters.keys().filter(|key| !key.is_header);
    keys.map(|key| format!("{} {} {}", key.response_code, key.name, key.sub_type.name())).collect()
}

fn warnings(name: &str) -> Vec<String> {
    let document = Document::parse(&bytes(name)).unwrap();
    let mut errors = document.errors().to_vec();
    errors.extend(document.operations(&target(Source::OpenApi)).flat_map(|outcome| outcome.errors));
    errors.into_iter().map(|error| error.error).collect()
}

#[test]
fn every_method_of_a_document_is_taken() {
    let found = endpoints(&specification("01-oas32-query/input.yaml"));
    let base = "https://ledger.harbour.test/v1";
    assert_eq!(
        names(&found),
        [
            format!("GET {base}/entries"),
            // The documented list of methods ends here: others are one.
            format!("OTHER {base}/entries"),
            format!("QUERY {base}/entries"),
            format!("QUERY {base}/reports"),
        ]
    );
    let shared: Vec<_> = warnings("01-oas32-query/input.yaml");
    assert_eq!(shared, ["LINK /entries shares the endpoint of PURGE /entries"]);
    let found = endpoints(&specification("02-aws-any-method/input.yaml"));
    let base = "https://ab12cd34ef.execute-api.eu-west-1.amazonaws.com/prod";
    assert_eq!(
        names(&found),
        [format!("ANY {base}/STRING+"), format!("ANY {base}/admin/reset"), format!("GET {base}/")]
    );
}

#[test]
fn operations_in_parts_of_a_segment_stay_apart() {
    let mut records = specification("03-custom-verbs/input.yaml");
    let declared = endpoints(&records);
    let base = "https://jobs.harbour.test/v1";
    let expected = [
        format!("DELETE {base}/jobs/STRING"),
        format!("GET {base}/jobs/STRING"),
        format!("GET {base}/jobs/STRING.csv"),
        format!("POST {base}/jobs/STRING:cancel"),
        format!("POST {base}/jobs/STRING:impersonate"),
        format!("POST {base}/jobs:batchDelete"),
    ];
    assert_eq!(names(&declared), expected);
    assert_eq!(auth(&declared[&expected[3]]), [["BEARER"]]);
    assert_eq!(auth(&declared[&expected[4]]), [["UNAUTHENTICATED"]]);
    let traffic = capture("03-custom-verbs/traffic.har");
    let seen = endpoints(&traffic);
    assert!(seen.contains_key(&expected[3]) && seen.contains_key(&expected[4]), "{:?}", names(&seen));
    records.extend(traffic);
    assert!(names(&endpoints(&records)).iter().filter(|name| name.starts_with("POST")).count() == 3);
}

#[test]
fn a_published_service_has_every_operation() {
    let records = specification("kfp.swagger2.json");
    assert_eq!((records.len(), endpoints(&records).len()), (40, 40));
}

#[test]
fn traffic_at_every_spelling_of_a_server_is_of_the_operation() {
    for name in ["same", "http", "port", "slash", "staging", "greedy"] {
        let mut records = specification("16-drift/spec.yaml");
        let declared: Vec<_> = endpoints(&records).into_keys().collect();
        records.extend(capture(&format!("16-drift/{name}.har")));
        assert_eq!(names(&endpoints(&records)), declared, "{name}");
    }
    for name in ["spec", "spec-relative"] {
        let mut records = specification(&format!("24-word-values/{name}.yaml"));
        let declared: Vec<_> = endpoints(&records).into_keys().collect();
        records.extend(capture("24-word-values/traffic.har"));
        assert_eq!(names(&endpoints(&records)), declared, "{name}");
    }
}

#[test]
fn a_difference_is_one_of_operations() {
    let shapes = |name: &str| -> BTreeMap<String, Shape> {
        let records = specification(name);
        let shape = |record: &Record<'_>| Shape::from(record.declaration.as_deref().unwrap());
        records.iter().map(|record| (format!("{} {}", record.method, record.path), shape(record))).collect()
    };
    for (old, new, expected) in [
        ("26-diff/old.yaml", "26-diff/new.yaml", vec!["POST https://jobs.harbour.test/v1/jobs/STRING:impersonate"]),
        ("26-diff/old32.yaml", "26-diff/new32.yaml", vec!["PURGE /entries", "QUERY /entries"]),
    ] {
        let (old, new) = (shapes(old), shapes(new));
        let added: Vec<_> = new.keys().filter(|key| !old.contains_key(*key)).collect();
        assert_eq!(added, expected);
        assert!(old.iter().all(|(key, shape)| shape.changes(&new[key]).is_empty()));
    }
}

#[test]
fn credentials_in_a_url_are_not_kept() {
    let records = capture("15-userinfo/input.har");
    let found = endpoints(&records);
    assert_eq!(names(&found), ["GET https://api.harbour.test/v1/orders"]);
    let texts: String = records.iter().map(Record::to_json).collect();
    assert!(!texts.contains("Hunter2") && !texts.contains("Passw0rd99") && !texts.contains("svc_robot"));
}

#[test]
fn sockets_are_endpoints_and_tunnels_are_none() {
    let found = endpoints(&capture("09-websocket/input.har"));
    assert_eq!(
        names(&found),
        ["GET https://chat7781.harbour.test/rooms/INTEGER", "GET https://node20456.harbour.test/rooms/INTEGER",]
    );
    assert!(found.values().all(|endpoint| endpoint.facts.api_types.contains(&ApiType::Websocket)));
}

#[test]
fn graph_is_a_segment() {
    let found = endpoints(&capture("17-graph/input.har"));
    assert!(found.len() < 10, "{:?}", names(&found));
    assert!(names(&found).contains(&"GET https://media.harbour.test/api/photographs/INTEGER"));
}

#[test]
fn all_branches_of_a_schema_are_walked() {
    let found = endpoints(&specification("10-dictionary/input.yaml"));
    let person = |name: &str| {
        let endpoint = found.iter().find(|(key, _)| key.ends_with(name)).unwrap().1;
        parameters(endpoint).iter().any(|name| name.contains("*#"))
    };
    assert!(person("GET https://dir.harbour.test/people") && person("/people/bulk") && person("/teams"));
    let found = endpoints(&specification("13-media-alternatives/input.yaml"));
    let parameters = parameters(found.values().next().unwrap());
    for name in ["-1 documentUrl URL", "-1 applicantEmail EMAIL", "-1 ssn SSN", "-1 phone PHONE_NUMBER", "200 ssn SSN"]
    {
        assert!(parameters.contains(name), "{name}: {parameters:?}");
    }
}

#[test]
fn objects_in_a_query_have_the_names_of_traffic() {
    let found = endpoints(&specification("14-deep-object/input.yaml"));
    let parameters = parameters(found.values().next().unwrap());
    for name in ["-1 filter[email] EMAIL", "-1 filter[phone] PHONE_NUMBER", "-1 limit INTEGER_32"] {
        assert!(parameters.contains(name), "{name}: {parameters:?}");
    }
}

#[test]
fn the_default_answer_counts_where_no_success_is_told() {
    let found = endpoints(&specification("21-default-only/input.yaml"));
    let of = |path: &str| parameters(&found[&format!("GET https://models.harbour.test{path}")]);
    assert!(of("/me").contains("200 ssn SSN"));
    assert!(!of("/errors").iter().any(|name| name.contains("message")));
    assert!(of("/ranges").contains("200 email EMAIL"));
}

#[test]
fn schemes_that_are_used_together_are_one_set() {
    let found = endpoints(&specification("12-and-security/input.yaml"));
    let of = |path: &str| auth(&found[&format!("GET https://tenant.harbour.test{path}")]);
    assert_eq!(of("/both"), [["BEARER", "API_KEY"]]);
    assert_eq!(of("/either"), [["BEARER"], ["API_KEY"]]);
    assert_eq!(of("/optional"), [["UNAUTHENTICATED"], ["BEARER"]]);
    assert_eq!(of("/mtls-and-basic"), [["BASIC", "MTLS"]]);
}

#[test]
fn requests_inherit_and_keys_in_a_query_are_credentials() {
    let found = endpoints(&collection("19-postman-inherit/input.json"));
    let of = |path: &str| auth(&found[&format!("GET https://inherit.harbour.test{path}")]);
    assert_eq!(of("/plain"), [["BEARER"]]);
    assert_eq!(of("/inherit"), [["BEARER"]]);
    assert_eq!(of("/none"), [["UNAUTHENTICATED"]]);
    assert_eq!(of("/keyed"), [["API_KEY"]]);
}

#[test]
fn cookies_and_times_of_a_capture_count() {
    let records = capture("23-cookies-array/input.har");
    let found = endpoints(&records);
    assert_eq!(auth(&found["GET https://portal.harbour.test/array-only"]), [["SESSION_TOKEN"]]);
    // 2026-03-01T10:00:00Z, not the time of the import.
    assert!(records.iter().all(|record| record.time == 1_772_359_200));
}

#[test]
fn values_of_credentials_are_not_kept() {
    let found = endpoints(&capture("28-key-header/input.har"));
    for endpoint in found.values() {
        for (key, known) in &endpoint.parameters {
            let name = key.name.to_lowercase();
            let is_credential = ["key", "token", "secret", "auth"].iter().any(|part| name.contains(part));
            assert!(!is_credential || known.values.list().next().is_none(), "{name} {:?}", known.values);
        }
    }
}

#[test]
fn guarded_bodies_lines_and_events_are_read() {
    let found = endpoints(&capture("08-xssi/input.har"));
    let unread: Vec<_> = found
        .iter()
        .filter(|(_, endpoint)| !parameters(endpoint).iter().any(|name| name.starts_with("200 ")))
        .collect();
    assert!(unread.is_empty(), "{:?}", unread.iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn bodies_are_read_in_their_charset() {
    let found = endpoints(&capture("07-latin1/input.har"));
    let unread: Vec<_> = found
        .iter()
        .filter(|(_, endpoint)| !parameters(endpoint).iter().any(|name| name.ends_with(" EMAIL")))
        .collect();
    assert!(unread.is_empty(), "{:?}", unread.iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn pictures_are_no_addresses() {
    let found = endpoints(&capture("05-retina-email/input.har"));
    let emails: Vec<_> = found
        .values()
        .flat_map(|endpoint| &endpoint.parameters)
        .filter(|(key, _)| key.sub_type.name() == "EMAIL")
        .flat_map(|(_, known)| known.values.list())
        .collect();
    assert_eq!(emails, ["helen.moore@harbourmail.io"]);
}

#[test]
fn documents_are_called_what_they_call_themselves() {
    for (file, expected) in [
        ("a/openapi.json", "Library service"),
        ("a/openapi.yaml", "Payroll service"),
        ("b/openapi.yaml", "Parking service"),
    ] {
        let bytes = bytes(&format!("27-titles/{file}"));
        let format = portolan_formats::detect(&bytes).unwrap();
        assert_eq!(portolan_formats::name(format, &bytes).as_deref(), Some(expected), "{file}");
    }
}

/// A member that an operation writes itself wins over one that is merged in, before or behind it.
#[test]
fn merged_members_yield_to_own_ones() {
    let records = specification("18-yaml-merge/input.yaml");
    let summaries: Vec<_> = records.iter().map(|record| record.declaration.as_ref().unwrap().summary.clone()).collect();
    assert_eq!(summaries, [Some("own text".to_owned()), Some("own text".to_owned())]);
    let found = endpoints(&records);
    for path in ["first", "last"] {
        assert_eq!(auth(&found[&format!("GET https://merge.harbour.test/{path}")]), [["BEARER"]], "{path}");
    }
}

/// Times and counters of a body are no personal data, and the call is at its own time.
#[test]
fn timestamps_are_no_cards() {
    let records = capture("20-timestamps/input.har");
    assert_eq!(records[0].time, 1_772_359_200);
    let found = endpoints(&records);
    let all = found.values().flat_map(|endpoint| &endpoint.parameters);
    let sensitive: Vec<_> = all.filter(|(_, known)| known.sensitive).map(|(key, _)| key).collect();
    assert!(sensitive.is_empty(), "{sensitive:?}");
}

/// An upgrade proves an endpoint.
#[test]
fn an_upgrade_of_a_capture_is_an_endpoint() {
    let records = capture("msw-response-status-101.har");
    assert_eq!(records[0].time, 1_628_775_357);
    let found = endpoints(&records);
    assert_eq!(names(&found), ["GET http://127.0.0.1:60906/status"]);
    assert!(found.values().all(|endpoint| endpoint.facts.api_types.contains(&ApiType::Websocket)));
}

/// A call that the service makes is no endpoint of it, and the report names it.
#[test]
fn callbacks_are_named_and_no_endpoints() {
    let name = "oai-v3.0-callback-example.yaml";
    assert_eq!(names(&endpoints(&specification(name))), ["POST /streams"]);
    let warnings = warnings(name);
    assert!(warnings.iter().any(|warning| warning.contains("onData")), "{warnings:?}");
}

/// Schemes of a collection as another tool writes it.
#[test]
fn schemes_of_another_exporter_are_told_apart() {
    let found = endpoints(&collection("yaak-postman-auth.json"));
    let sets = auth(&found["GET https://yaak.app/x/echo"]);
    for expected in ["UNAUTHENTICATED", "BASIC", "BEARER", "AUTHORIZATION_HEADER"] {
        assert!(sets.iter().any(|set| set.contains(&expected)), "{expected}: {sets:?}");
    }
}
