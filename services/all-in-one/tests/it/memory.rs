//! What the worst input of a door takes of memory: of the topic of records, of the check that Envoy asks, and of the RPCs.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::auth::v3::{
    attribute_context::HttpRequest, authorization_client::AuthorizationClient, check_response::HttpResponse,
};
use portolan_api::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use portolan_api::{Who, options::BODY_BYTES_MAX};
use portolan_log::{Log, Message};
use portolan_record::{RECORD_BYTES_MAX, Record};
use portolan_testkit::TestDb;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::json;

use crate::{
    guards::call,
    identity_team::Person,
    isolation::{other_tenant_is_served, tenant},
    rights::method,
    server::{PATIENCE, Server, edge_check},
};

/// What the one process may hold at its peak, in MiB, whatever is sent.
const PEAK_MIB_MAX: u64 = 512;
/// The same while documents are imported that are as large as they may be.
const DOCUMENTS_MIB_MAX: u64 = 1_000;
/// Records of each form.
const RECORDS: usize = 3;
/// Checks at once.
const CHECKS: usize = 40;
/// The largest check that is read.
const CHECK_BYTES_MAX: usize = 1 << 20;
const EDGE_TOKEN: &str = "shared with envoy";

/// Parts of a record that are as large as a record may be, by what is worst in them.
fn worst_records(round: usize) -> Vec<(&'static str, Record<'static>)> {
    let room = RECORD_BYTES_MAX - 64 * 1024;
    let repeated = |bytes: usize, part: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for at in 0.. {
            let next = part(at);
            if text.len() + next.len() > bytes {
                break;
            }
            text.push_str(&next);
        }
        text
    };
    let call = |path: &str| Record {
        account_id: 1_000_000,
        method: "POST".into(),
        path: path.to_owned().into(),
        request_headers: json!({"host": "worst.test", "content-type": "application/json"}).to_string().into(),
        status_code: 200,
        time: 1_772_366_400,
        ..Record::default()
    };
    let payload = |name: &'static str, text: String| {
        (name, Record { response_payload: text.into(), ..call(&format!("/{}/{round}", name.replace(' ', "-"))) })
    };
    let typed = |media_type: &str, mut one: (&'static str, Record<'static>)| {
        one.1.response_headers = json!({ "content-type": media_type }).to_string().into();
        one
    };
    // A quote of the payload is two bytes of the record.
    let (quoted, plain) = (room / 2, room);
    let members = repeated(quoted, &|at| format!(r#""member{round}x{at}":{at},"#));
    let texts = repeated(quoted, &|at| format!(r#""jane{round}x{at}@mail.org","#));
    let pairs = repeated(plain, &|at| format!("name{round}x{at}={at}&"));
    let nodes = repeated(plain, &|at| format!("<n{at}>{at}</n{at}>"));
    let parts =
        repeated(plain / 2, &|at| format!("--b\r\ncontent-disposition: form-data; name=part{at}\r\n\r\n{at}\r\n"));
    let lines = repeated(quoted, &|at| format!("{{\"line{at}\":{at}}}\n"));
    let headers = repeated(quoted / 2, &|at| format!(r#""x-name-{round}-{at}":"{at}","#));
    vec![
        payload("many members", format!("{{{}}}", members.trim_end_matches(','))),
        payload("many values", format!("[{}]", texts.trim_end_matches(','))),
        payload("deep nesting", format!("{}{}", "[".repeat(plain / 2), "]".repeat(plain / 2))),
        payload("one value", format!("{{\"a\":\"{}\"}}", "x".repeat(plain - 1_000))),
        typed("application/x-www-form-urlencoded", payload("many pairs", pairs)),
        typed("application/xml", payload("many nodes", format!("<a>{nodes}</a>"))),
        typed("multipart/form-data; boundary=b", payload("many parts", format!("{parts}--b--"))),
        typed("application/x-ndjson", payload("many lines", lines)),
        (
            "many headers",
            Record { request_headers: format!("{{{}}}", headers.trim_end_matches(',')).into(), ..call("/h") },
        ),
        ("one URL", call(&format!("/{}/{round}?{}", "u".repeat(200), "a=b&".repeat(3_900)))),
    ]
}

/// Requests as Envoy may show them to the check, of about as many bytes.
fn worst_checks(bytes: usize) -> Vec<(&'static str, HttpRequest)> {
    let headers = |count: usize, bytes: usize| -> HashMap<String, String> {
        (0..count).map(|at| (format!("{at}"), "v".repeat(bytes))).collect()
    };
    let call = HttpRequest { method: "GET".into(), host: "api.test".into(), path: "/".into(), ..Default::default() };
    vec![
        // With its frames a header takes 13 bytes of the message.
        ("many headers", HttpRequest { headers: headers(bytes / 13, 1), ..call.clone() }),
        ("headers as many as are read", HttpRequest { headers: headers(900, bytes / 1_000), ..call.clone() }),
        ("one header", HttpRequest { headers: headers(1, bytes), ..call.clone() }),
        ("many segments", HttpRequest { path: "/a".repeat(bytes / 2), ..call.clone() }),
        ("a long query", HttpRequest { path: format!("/?{}", "a=%62&".repeat(bytes / 6)), ..call.clone() }),
        ("a body", HttpRequest { body: "[".repeat(bytes), ..call }),
    ]
}

/// The worst records that the topic takes, and the worst checks, stay within a bound of memory, and those who come after
/// are served.
pub async fn worst_inputs_stay_within_a_bound(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The memory that is measured is that of one process.
    }
    let program = env!("CARGO_BIN_EXE_portolan");
    let variables = [("PORTOLAN__EDGE__TOKEN", EDGE_TOKEN)];
    let place = tempfile::tempdir().unwrap().keep();
    let server = Server::start_program(program, &test, place, &variables, std::process::Stdio::inherit()).await;
    let log = Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
    let idle = server.peak_mib();
    let mut table = Vec::new();
    let rounds: Vec<_> = (0..RECORDS).map(worst_records).collect();
    for (at, (name, _)) in rounds[0].iter().enumerate() {
        server.forget_peak();
        for (sequence, records) in (0_i64..).zip(&rounds) {
            let message = Message { key: b"1000000".to_vec(), value: records[at].1.to_json().into_bytes() };
            assert!(message.value.len() <= RECORD_BYTES_MAX, "{name}: {} bytes", message.value.len());
            log.append(&format!("worst {name}"), sequence, vec![message]).await.unwrap();
        }
        wait_until_read(&server).await;
        table.push(format!("topic, {name}: {} MiB", server.peak_mib()));
        assert!(server.peak_mib() < PEAK_MIB_MAX, "{table:?}");
    }
    for (bytes, is_read) in [(CHECK_BYTES_MAX - 2_000, true), (3 * CHECK_BYTES_MAX, false)] {
        for (name, http) in worst_checks(bytes) {
            server.forget_peak();
            let asked = (0..CHECKS).map(|_| check(&server, http.clone()));
            let answers = futures::future::join_all(asked).await;
            let is_expected = |status: &Option<i32>| match status {
                Some(431) => is_read && name == "many headers",
                Some(400 | 404) => is_read && name != "many headers",
                _ => !is_read && status.is_none(),
            };
            assert!(answers.iter().all(is_expected), "{name} of {bytes} bytes: {answers:?}");
            table.push(format!("check, {name} of {bytes} bytes: {} MiB", server.peak_mib()));
            assert!(server.peak_mib() < PEAK_MIB_MAX, "{table:?}");
        }
    }
    eprintln!("memory at the worst input, {idle} MiB before it: {table:#?}");
    server.create_collection("After all that").await;
}

async fn wait_until_read(server: &Server) {
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    loop {
        let detail = server.get("/readyz?verbose").await.body;
        if detail.contains("no record waits") {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{detail}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The status by which the request is refused, 0 where it is allowed; `None` for one that is too large to be decided on.
async fn check(server: &Server, http: HttpRequest) -> Option<i32> {
    let request = edge_check(http, EDGE_TOKEN);
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let mut client = AuthorizationClient::new(channel.connect().await.unwrap());
    match client.check(request).await.ok()?.into_inner().http_response {
        Some(HttpResponse::DeniedResponse(denied)) => denied.status.map(|status| status.code),
        _ => Some(0),
    }
}

/// The ways to all lists and maps of a message.
fn ways(message: &MessageDescriptor, before: &[FieldDescriptor], found: &mut Vec<Vec<FieldDescriptor>>) {
    for field in message.fields().filter(|field| !before.contains(field)) {
        let way = [before, std::slice::from_ref(&field)].concat();
        if let Kind::Message(inner) = field.kind() {
            ways(&inner, &way, found);
        }
        if field.is_list() || field.is_map() {
            found.push(way);
        }
    }
}

/// A message of about `bytes` whose list at the end of this way has as many elements as it can, all of them empty.
fn message_of(way: &[FieldDescriptor], bytes: usize) -> Vec<u8> {
    let (list, before) = way.split_last().unwrap();
    let part = |field: &FieldDescriptor, value: &[u8]| {
        let mut part = Vec::with_capacity(value.len() + 16);
        encode_key(field.number(), WireType::LengthDelimited, &mut part);
        encode_varint(value.len() as u64, &mut part);
        part.extend_from_slice(value);
        part
    };
    let elements = match list.kind() {
        Kind::Message(_) | Kind::String | Kind::Bytes => part(list, &[]).repeat(bytes / part(list, &[]).len()),
        _ => part(list, &vec![0; bytes]),
    };
    before.iter().rev().fold(elements, |inner, field| part(field, &inner))
}

/// A message of very many very small parts is refused before it takes more memory than one of few large parts does.
pub async fn messages_of_many_parts_are_refused(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The memory that is measured is that of one process.
    }
    let server = Server::start(&test).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();
    let bearer = format!("Bearer {}", server.api_key);
    let headers = vec![("x-api-key", server.api_key.clone()), ("authorization", bearer)];
    let policies = portolan_api::policies().values();
    let mut sent = 0;
    for policy in policies.filter(|policy| !matches!(policy.who, Who::Internal | Who::Public)) {
        let mut lists = Vec::new();
        ways(&method(&policy.path).input(), &[], &mut lists);
        // The largest message that the service takes.
        let bytes = if policy.path.contains(".imports.") { BODY_BYTES_MAX } else { (4 << 20) - 100 };
        for way in lists {
            server.forget_peak();
            let message = message_of(&way, bytes);
            let calls = (0..2).map(|_| call(&channel, &policy.path, &headers, message.clone()));
            let answers = futures::future::join_all(calls).await;
            let peak = server.peak_mib();
            assert!(answers.iter().all(Result::is_err), "{} {way:?}: {answers:?}", policy.path);
            assert!(peak < PEAK_MIB_MAX, "{} {way:?}: {peak} MiB", policy.path);
            sent += 1;
        }
    }
    assert!(sent > 50, "{sent} lists");
    // What a list takes in JSON, it takes on the wire.
    let many = json!({ "agentQueries": vec![json!({}); 1_000_000] });
    let refused = server.post("/v1/agentQueries:batchIngest", many).await;
    assert_eq!(refused.header("x-portolan-error"), "TOO_MANY_ELEMENTS", "{}", refused.body);
    assert!(server.peak_mib() < PEAK_MIB_MAX, "{} MiB", server.peak_mib());
}

/// Documents that take much memory for their size, with why they are refused, if they are.
fn worst_documents() -> Vec<(&'static str, String, Option<&'static str>)> {
    // About as many values as a document may have.
    let values = 4_900_000;
    let list = |part: &str, count: usize| format!("[{}]", part.repeat(count).trim_end_matches(','));
    let members: String = (0..values / 2).map(|at| format!("\"{at:x}\":0,")).collect();
    let openapi = |extra: String| {
        format!(r#"{{"openapi":"3.0.0","info":{{"title":"a","version":"1"}},"paths":{{}},"x":{extra}}}"#)
    };
    let schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
    let postman = |items: String| format!(r#"{{"info":{{"name":"a","schema":"{schema}"}},"item":{items}}}"#);
    vec![
        ("lists", openapi(list("[],", values)), None),
        ("members", openapi(format!("{{{}}}", members.trim_end_matches(','))), None),
        ("requests", postman(list(r#"{"request":"http://a.test/a"},"#, 1_000_000)), Some("the document is too large")),
    ]
}

/// The job of an import by this person, when it has ended.
async fn import(person: &Person<'_>, text: String) -> serde_json::Value {
    let send = async |request: reqwest::RequestBuilder| {
        let request = request.header("cookie", &person.cookie).header("access-token", &person.token);
        person.server.send(request).await.unwrap().expect(200).json()
    };
    let request = person.server.request("/v1/imports?collectionName=Worst");
    let begun = send(request.header("content-type", "application/octet-stream").body(text)).await;
    let url = format!("{}/v1/jobs/{}", person.server.http, begun["jobId"].as_str().unwrap());
    let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
    loop {
        let job = send(reqwest::Client::new().get(&url)).await;
        if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        assert!(tokio::time::Instant::now() < deadline, "{job}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Two tenants import the worst documents at once into a server of little memory, which serves both afterwards.
pub async fn large_documents_wait_for_each_other(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The memory that is bounded is that of one process.
    }
    let server = Server::start(&test).await;
    let other = tenant(&server, &test).await;
    crate::roles::create(&crate::roles::identity(&test, &server).await, 1_000_000, "first@example.org", "ADMIN").await;
    let first = Person::log_in(&server, "first@example.org", "a password of its own").await;
    let mut table = Vec::new();
    for (round, (name, text, refusal)) in worst_documents().into_iter().enumerate() {
        server.forget_peak();
        let jobs = futures::future::join(import(&first, text.clone()), import(&other, text)).await;
        for job in [jobs.0, jobs.1] {
            let reason = job["error"].as_str().and_then(|text| text.split(':').next());
            assert_eq!(reason, refusal, "{name}: {job}");
        }
        table.push(format!("document, {name}: {} MiB", server.peak_mib()));
        assert!(server.peak_mib() < DOCUMENTS_MIB_MAX, "{table:?}");
        other_tenant_is_served(&server, &other, round).await;
    }
    eprintln!("memory at the worst document: {table:#?}");
}
