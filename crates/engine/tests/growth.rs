//! The work of one record grows with its size: ten times as much of any part costs at most fifteen times as many
//! allocated bytes.

use allocation_counter::measure;
use portolan_engine::template::{BodyNames, Catalog, RawEndpoint};
use portolan_engine::{Detectors, EndpointDelta, Method, Verdict, observe};
use portolan_record::{Record, SEGMENTS_MAX};

/// Growth that is taken for ten times the input.
const FACTOR_MAX: u64 = 15;

/// Reads a record the way ingest does, up to the template of its URL.
fn ingest(record: &Record<'_>, detectors: &Detectors) {
    let json = record.to_json();
    let record = Record::parse(&json).unwrap();
    let Verdict::Seen(observations) = observe(&record, detectors) else { return };
    let mut catalog = Catalog::default();
    for observation in observations {
        let delta = EndpointDelta::new(observation);
        let raw = delta.raw_endpoint();
        let bodies = BodyNames::default();
        catalog.update(&RawEndpoint { bodies, ..raw });
    }
}

fn call() -> Record<'static> {
    Record { account_id: 1, method: "POST".into(), path: "/a".into(), status_code: 200, time: 7, ..Record::default() }
}

fn repeated(count: usize, part: impl Fn(usize) -> String, separator: &str) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(separator)
}

/// A record with `count` of one part, by the part's name.
fn record(part: &str, count: usize) -> Record<'static> {
    let response = |kind: &str, payload: String| Record {
        response_headers: format!(r#"{{"content-type":"{kind}"}}"#).into(),
        response_payload: payload.into(),
        ..call()
    };
    let json = |payload: String| response("application/json", payload);
    match part {
        "segments" => Record { path: repeated(count, |at| format!("/Qx{at}"), "").into(), ..call() },
        "variable segments" => Record { path: repeated(count, |at| format!("/7{at}"), "").into(), ..call() },
        "query" => Record { path: format!("/a?{}", repeated(count, |at| format!("q{at}=1"), "&")).into(), ..call() },
        "headers" => {
            let headers = repeated(count, |at| format!(r#""x-{at}":"v{at}""#), ",");
            Record { request_headers: format!("{{{headers}}}").into(), ..call() }
        }
        "cookies" => {
            let cookies = repeated(count, |at| format!("c{at}=1"), "; ");
            Record { request_headers: format!(r#"{{"cookie":"{cookies}"}}"#).into(), ..call() }
        }
        "forwarded addresses" => {
            let chain = repeated(count, |at| format!("10.0.0.{}", at % 250), ", ");
            Record { request_headers: format!(r#"{{"x-forwarded-for":"{chain}"}}"#).into(), ..call() }
        }
        "members" => json(format!("{{{}}}", repeated(count, |at| format!(r#""m{at}":{at}"#), ","))),
        "items" => json(format!("[{}]", repeated(count, |at| format!(r#"{{"m":"v{at}"}}"#), ","))),
        "depth" => json(format!("{}1{}", r#"{"d":"#.repeat(count), "}".repeat(count))),
        "text" => json(format!(r#"{{"t":"{}"}}"#, "a@b.example ".repeat(count))),
        "form" => Record {
            request_headers: r#"{"content-type":"application/x-www-form-urlencoded"}"#.into(),
            request_payload: repeated(count, |at| format!("f{at}=1"), "&").into(),
            ..call()
        },
        "multipart" => Record {
            request_headers: r#"{"content-type":"multipart/form-data; boundary=b"}"#.into(),
            request_payload: repeated(
                count,
                |at| format!("--b\r\nContent-Disposition: form-data; name=\"p{at}\"\r\n\r\nv\r\n"),
                "",
            )
            .into(),
            ..call()
        },
        "elements" => {
            response("application/xml", format!("<r>{}</r>", repeated(count, |at| format!("<e{at}>v</e{at}>"), "")))
        }
        "claims" => {
            use base64::Engine as _;
            let claims = format!("{{{}}}", repeated(count, |at| format!(r#""c{at}":{at}"#), ","));
            let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
            Record { request_payload: format!("eyJhbGciOiJub25lIn0.{encoded}.c2ln").into(), ..call() }
        }
        other => panic!("no part {other}"),
    }
}

#[test]
fn ten_times_as_much_costs_little_more_than_ten_times() {
    let detectors = Detectors::default();
    // What is loaded once for all records.
    ingest(&record("segments", 10), &detectors);
    ingest(&record("text", 10), &detectors);
    let mut table = String::new();
    let mut slow = Vec::new();
    for (part, from) in [
        ("segments", SEGMENTS_MAX / 10),
        ("variable segments", SEGMENTS_MAX / 10),
        ("query", 150),
        ("headers", 1_000),
        ("cookies", 1_000),
        ("forwarded addresses", 1_000),
        ("members", 5_000),
        ("items", 5_000),
        ("depth", 1_000),
        ("text", 1_000),
        ("form", 1_000),
        ("multipart", 1_000),
        ("elements", 1_000),
        ("claims", 1_000),
    ] {
        let bytes = |count: usize| measure(|| ingest(&record(part, count), &detectors)).bytes_total;
        let (few, many) = (bytes(from), bytes(from * 10));
        table.push_str(&format!("{part:20} {from:6} {few:12} {many:12} {:.1}\n", many as f64 / few as f64));
        if many > few * FACTOR_MAX {
            slow.push(part);
        }
    }
    assert!(slow.is_empty(), "{slow:?} grow too fast:\n{table}");
    println!("{table}");
}

fn raw(url: String, names: usize) -> RawEndpoint {
    let mut bodies = BodyNames::default();
    bodies.add_code(200);
    (0..names).for_each(|name| bodies.add_response(200, &format!("n{name}")));
    RawEndpoint {
        method: Method::Get,
        url,
        pinned: false,
        addresses: Default::default(),
        proven: true,
        never_merge: false,
        bodies,
    }
}

/// URLs that differ in one place each: their groups cost what the URLs do.
#[test]
fn urls_of_many_segments_share_no_square() {
    let update = |segments: usize| {
        let mut catalog = Catalog::default();
        for url in 0..20 {
            let path = repeated(segments, |at| format!("/Qx{}", if at == url { url + 1_000 } else { at }), "");
            catalog.update(&raw(path, 0));
        }
    };
    update(30);
    let (few, many) = (measure(|| update(25)).bytes_total, measure(|| update(250)).bytes_total);
    assert!(many <= few * FACTOR_MAX, "{few} bytes at 25 segments, {many} at 250");
}

/// A URL that joins a template costs the same whatever joined it before, also where each new one comes first.
#[test]
fn urls_of_one_template_share_no_square() {
    for is_descending in [false, true] {
        let update = |urls: usize| {
            let mut catalog = Catalog::default();
            for at in 0..urls {
                let url = if is_descending { 9_999 - at } else { 1_000 + at };
                catalog.update(&raw(format!("/shop/Qx{url}/lines"), 4));
            }
        };
        update(30);
        let (few, many) = (measure(|| update(300)).bytes_total, measure(|| update(3_000)).bytes_total);
        assert!(many <= few * FACTOR_MAX, "{few} bytes for 300 URLs, {many} for 3,000, descending {is_descending}");
    }
}

/// Each URL comes before the others of its group and is called in another way, so that it changes what they are compared
/// with; those that come together are compared once.
#[test]
fn urls_that_change_what_others_are_compared_with_share_no_square() {
    let update = |urls: usize| {
        let one = |at: usize| {
            let mut one = raw(format!("/shop/Qx{}/lines", 99_999 - at), 20);
            one.bodies.add_response(200, &format!("own{at}"));
            one
        };
        let raws: Vec<_> = (0..urls).map(one).collect();
        Catalog::default().update_all(&raws)
    };
    assert!(update(300).iter().any(|change| change.effective_url == "/shop/STRING/lines"));
    let (few, many) = (measure(|| _ = update(300)).bytes_total, measure(|| _ = update(3_000)).bytes_total);
    assert!(many <= few * FACTOR_MAX, "{few} bytes for 300 URLs, {many} for 3,000");
}

#[test]
fn a_catalog_knows_about_how_much_memory_it_takes() {
    for (segments, names, differs_at) in [(2, 0, 1), (2, 5, 0), (4, 20, 3), (8, 3, 0), (200, 0, 199), (3, 300, 0)] {
        let mut catalog = Catalog::default();
        let fill = || {
            for url in 1_000..1_300 {
                let path = repeated(segments, |at| format!("/Qx{}", if at == differs_at { url } else { at }), "");
                catalog.update(&raw(path, names));
            }
        };
        let held = measure(fill).bytes_current;
        let told = i64::try_from(catalog.bytes()).unwrap();
        assert!(told < held * 2 && held < told * 2, "{segments} segments, {names} names: {told} told of {held} bytes");
    }
}
