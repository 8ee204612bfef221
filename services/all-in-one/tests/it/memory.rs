//! What the worst input of a door takes of memory: of the topic of records, and of the check that Envoy asks.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::auth::v3::{
    attribute_context::HttpRequest, authorization_client::AuthorizationClient,
};
use portolan_log::{Log, Message};
use portolan_record::{RECORD_BYTES_MAX, Record};
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server, edge_check};

/// What the one process may hold at its peak, in MiB, whatever is sent.
const PEAK_MIB_MAX: u64 = 512;
/// Records of each form.
const RECORDS: usize = 3;
/// Checks at once.
const CHECKS: usize = 40;
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

/// Requests as Envoy may show them to the check.
fn worst_checks() -> Vec<(&'static str, HttpRequest)> {
    let headers = |count: usize, bytes: usize| -> HashMap<String, String> {
        (0..count).map(|at| (format!("x-name-{at}"), "v".repeat(bytes))).collect()
    };
    let call = HttpRequest { method: "GET".into(), host: "api.test".into(), path: "/".into(), ..Default::default() };
    let megabytes = 3 << 20;
    vec![
        ("many headers", HttpRequest { headers: headers(60_000, 20), ..call.clone() }),
        ("one header", HttpRequest { headers: headers(1, megabytes), ..call.clone() }),
        ("many segments", HttpRequest { path: "/a".repeat(megabytes / 2), ..call.clone() }),
        ("a long query", HttpRequest { path: format!("/?{}", "a=%62&".repeat(megabytes / 6)), ..call.clone() }),
        ("a body", HttpRequest { body: "[".repeat(megabytes), ..call }),
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
    for (name, http) in worst_checks() {
        server.forget_peak();
        let asked = (0..CHECKS).map(|_| check(&server, http.clone()));
        let answers = futures::future::join_all(asked).await;
        assert!(answers.iter().all(|is_allowed| !is_allowed), "{name}: a host that is not known is allowed");
        table.push(format!("check, {name}: {} MiB", server.peak_mib()));
        assert!(server.peak_mib() < PEAK_MIB_MAX, "{table:?}");
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

/// Whether the request is allowed; one that is too large for the check is not.
async fn check(server: &Server, http: HttpRequest) -> bool {
    let request = edge_check(http, EDGE_TOKEN);
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let mut client = AuthorizationClient::new(channel.connect().await.unwrap());
    let answer = client.check(request).await;
    answer.is_ok_and(|answer| answer.get_ref().status.as_ref().is_none_or(|status| status.code == 0))
}
