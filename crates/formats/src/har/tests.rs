use portolan_record::{RECORD_BYTES_MAX, Source};

use base64::Engine as _;

use super::*;

fn target() -> Target {
    Target { account_id: 1, collection_id: 7, time: 1_756_885_500, source: Source::Har }
}

/// The items of a HAR, read from memory; a stream must give the same ones.
fn items(bytes: &[u8]) -> Result<Vec<Item<'static>>, FormatError> {
    let (mut from_memory, mut from_stream) = (Vec::new(), Vec::new());
    let collect = |into: &mut Vec<Item<'static>>, item: Item<'_>| {
        into.push(match item {
            Item::Record(record) => Item::Record(owned(&record)),
            Item::Refused { index, reason } => Item::Refused { index, reason },
        });
        ControlFlow::Continue(())
    };
    let result = convert_slice(bytes, &target(), &mut |item| collect(&mut from_memory, item));
    let streamed = convert_reader(bytes, &target(), &mut |item| collect(&mut from_stream, item));
    assert_eq!(from_memory, from_stream);
    assert_eq!(format!("{result:?}"), format!("{streamed:?}"));
    let counted = validate_slice(bytes);
    assert_eq!(counted.is_ok(), result.is_ok(), "{counted:?} {result:?}");
    let summary = result?;
    assert_eq!(summary.records + summary.refused, from_memory.len() as u64);
    assert_eq!(counted.unwrap(), from_memory.len() as u64);
    Ok(from_memory)
}

fn owned(record: &Record<'_>) -> Record<'static> {
    let json: &'static str = Box::leak(record.to_json().into_boxed_str());
    Record::parse(json).unwrap()
}

fn har(entries: &str) -> String {
    format!(r#"{{"log": {{"version": "1.2", "creator": {{"name": "x"}}, "pages": [], "entries": [{entries}]}}}}"#)
}

fn one(entry: &str) -> Item<'static> {
    let mut items = items(har(entry).as_bytes()).unwrap();
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn record(entry: &str) -> Record<'static> {
    match one(entry) {
        Item::Record(record) => record,
        Item::Refused { reason, .. } => panic!("refused: {reason}"),
    }
}

const CHROME: &str = r#"{"_initiator": {"type": "script", "stack": {"callFrames": [{"url": "}]"}]}}, "_priority": "High",
    "startedDateTime": "2022-05-11T11:46:52.614Z", "time": 12.5,
    "request": {"method": "POST", "url": "https://api.example.com/v1/books?page=1", "httpVersion": "http/2.0",
        "headers": [{"name": ":authority", "value": "api.example.com"}, {"name": ":method", "value": "POST"},
            {"name": "Content-Type", "value": "application/json"}, {"name": "x y", "value": "1"},
            {"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"},
            {"name": "cookie", "value": "a=1"}, {"name": "cookie", "value": "b=\"2\""}],
        "queryString": [{"name": "page", "value": "1"}], "cookies": [], "headersSize": -1, "bodySize": -9,
        "postData": {"mimeType": "application/json", "text": "{\"title\": \"caf\u00e9\"}"}},
    "response": {"status": 201, "statusText": "Created", "httpVersion": "http/2.0",
        "headers": [{"name": "content-type", "value": "application/json"}], "redirectURL": "",
        "content": {"size": -3, "mimeType": "application/json", "text": "{\"id\":7}"}, "headersSize": -1, "bodySize": -1,
        "_transferSize": 0, "_error": null},
    "cache": {}, "timings": {"send": -1}, "serverIPAddress": "10.0.0.1"}"#;

#[test]
fn chrome_entry_becomes_a_record() {
    let record = record(CHROME);
    assert_eq!(record.method, "POST");
    assert_eq!(record.path, "https://api.example.com/v1/books?page=1");
    assert_eq!(record.protocol, "http/2.0");
    assert_eq!(
        record.request_headers,
        r#"{"content-type":"application/json","cookie":"a=1; b=\"2\"","host":"api.example.com","x-a":"2"}"#
    );
    assert_eq!(record.request_payload, "{\"title\": \"café\"}");
    assert_eq!(record.response_payload, "{\"id\":7}");
    assert_eq!(
        (record.status_code, &*record.status, record.time, &*record.ip),
        (201, "Created", 1_652_269_612, "null")
    );
    assert_eq!((record.account_id, record.collection_id, record.source, record.direction), (1, 7, Source::Har, 1));
}

/// An entry with the given request members and response members added.
fn entry(request: &str, response: &str) -> String {
    format!(
        r#"{{"request": {{"method": "GET", "url": "http://h/a"{request}}}, "response": {{"status": 200{response}}}}}"#
    )
}

#[test]
fn bodies_are_kept_as_text() {
    let response = |content: &str| record(&entry("", &format!(r#", "content": {content}"#)));
    assert_eq!(response(r#"{"text": "eyJhIjoxfQ==", "encoding": "base64"}"#).response_payload, "{\"a\":1}");
    assert_eq!(response(r#"{"text": "eyJh\nIjoxfQ", "encoding": "Base64"}"#).response_payload, "{\"a\":1}");
    assert_eq!(response(r#"{"text": "iVBORw0KGgoAAAA=", "encoding": "base64"}"#).response_payload, "");
    assert_eq!(response(r#"{"text": "H4sIAAAAAAAA/wMA", "encoding": "base64"}"#).response_payload, "");
    assert_eq!(response(r#"{"text": "!!", "encoding": "base64"}"#).response_payload, "");
    assert_eq!(response(r#"{"text": null}"#).response_payload, "");
    assert_eq!(response("null").response_payload, "");
    assert_eq!(response(r#"{"text": "a\ud83d b"}"#).response_payload, "a\u{FFFD} b");
    assert_eq!(response(r#"{"text": "\\ud83d \ud83d\ude00"}"#).response_payload, "\\ud83d 😀");
    let typed = response(r#"{"text": "{}", "mimeType": "application/json"}"#);
    assert_eq!(typed.response_headers, r#"{"content-type":"application/json"}"#);

    let request = |post: &str| record(&entry(&format!(r#", "postData": {post}"#), ""));
    let form =
        request(r#"{"mimeType": "multipart/form-data", "params": [{"name": "a b", "value": "c&d=é"}, {"name": "f"}]}"#);
    assert_eq!(form.request_payload, "a+b=c%26d%3D%C3%A9&f=");
    assert_eq!(form.request_headers, r#"{"content-type":"application/x-www-form-urlencoded"}"#);
    assert_eq!(request(r#"{"text": "x=1", "params": [{"name": "y"}]}"#).request_payload, "x=1");
    assert_eq!(request("null").request_payload, "");
}

#[test]
fn unusual_entries_are_records() {
    let blocked = record(
        r#"{"request": {"method": "GET", "url": "http://h/a"}, "response": {"status": 0, "_error": "net::ERR_BLOCKED"}}"#,
    );
    assert_eq!((blocked.status_code, &*blocked.protocol), (0, "HTTP/1.1"));
    assert_eq!(record(&entry(r#", "method2": 1e999"#, "")).status_code, 200);
    let charles =
        entry(r#", "headers": {"a": 1}"#, "").replace(r#""headers": {"a": 1}"#, r#""_charlesStatus": "COMPLETE""#);
    assert_eq!(record(&charles).status_code, 200);
    let firefox = entry(r#", "headers": null, "postData": null"#, r#", "content": {"mimeType": "", "size": 0}"#);
    assert_eq!(record(&firefox).response_headers, "{}");
    let cookies =
        entry("", r#", "headers": [{"name": "Set-Cookie", "value": "a"}, {"name": "set-cookie", "value": "b"}]"#);
    assert_eq!(record(&cookies).response_headers, r#"{"set-cookie":"a\nb"}"#);
    assert_eq!(record(&entry("", "").replace("200", "\"404\"")).status_code, 404);
    assert_eq!(record(&entry("", "").replace("http://h/a", "localhost:8000/a")).path, "localhost:8000/a");
    assert_eq!(record(&entry("", "").replace("http://h/a", "wss://h/a")).path, "wss://h/a");
}

#[test]
fn bad_entries_are_refused_alone() {
    let check = |entry: &str, expected: &str| {
        let items = items(har(&format!("{CHROME},{entry},{CHROME}")).as_bytes()).unwrap();
        assert_eq!(items.len(), 3);
        assert!(matches!(items[0], Item::Record(_)) && matches!(items[2], Item::Record(_)));
        let Item::Refused { index: 2, reason } = &items[1] else { panic!("{:?}", items[1]) };
        assert!(reason.contains(expected), "{reason}");
    };
    check("null", "not an object");
    check("[1]", "not an object");
    check("{}", "`request` is missing");
    check(r#"{"request": {"method": "GET", "url": "http://h/a"}}"#, "`response` is missing");
    check(r#"{"request": {"method": "GET"}, "response": {}}"#, "`request.url` is missing");
    check(r#"{"request": {"method": null, "url": "http://h/a"}, "response": {}}"#, "`request.method` is missing");
    check(r#"{"request": {"method": {}, "url": "http://h/a"}, "response": {}}"#, "`request.method` is not text");
    check(r#"{"request": 5, "response": {}}"#, "expected a request object");
    check(&entry(r#", "headers": {"a": 1}"#, ""), "expected a sequence");
    check(&entry(r#", "headers": [7]"#, ""), "expected an object with `name` and `value`");
    check(&entry("", r#", "content": {"text": ["a"]}"#), "`response.content.text` is not text");
    check(&entry("", "").replace("200", "-5"), "not a status code: -5");
    check(&entry("", "").replace("200", "1e999"), "number out of range");
    check(&entry("", "").replace("http://h/a", "data:image/png;base64,AAAA"), "scheme is `data`");
    let huge = entry(&format!(r#", "postData": {{"text": "{}"}}"#, "x".repeat(RECORD_BYTES_MAX)), "");
    check(&huge, "Message too big size: 5243");
    let vast = entry(&format!(r#", "_x": "{}""#, "x".repeat(ENTRY_BYTES_MAX)), "");
    check(&vast, &format!("Message too big size: {}", vast.len()));
}

#[test]
fn a_record_below_the_limit_is_kept() {
    let large = entry(&format!(r#", "postData": {{"text": "{}"}}"#, "x".repeat(RECORD_BYTES_MAX - 1024)), "");
    assert_eq!(record(&large).request_payload.len(), RECORD_BYTES_MAX - 1024);
    let binary = entry("", &format!(r#", "content": {{"encoding": "base64", "text": "{}"}}"#, "/".repeat(8 << 20)));
    assert_eq!(record(&binary).response_payload, "");
}

#[test]
fn encodings_are_read_alike() {
    let text = har(CHROME);
    let expected = items(text.as_bytes()).unwrap();
    let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for bytes in [
        [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        [b"\xFF\xFE", &wide(u16::to_le_bytes)[..]].concat(),
        [b"\xFE\xFF", &wide(u16::to_be_bytes)[..]].concat(),
    ] {
        assert_eq!(items(&bytes).unwrap(), expected);
    }
    let mut stray = text.into_bytes();
    let at = stray.windows(4).position(|window| window == b"High").unwrap();
    stray[at] = 0xFF;
    assert_eq!(items(&stray).unwrap(), expected);
}

#[test]
fn what_is_no_har_is_refused_as_a_whole() {
    let check = |text: &str, expected: &str| {
        let error = items(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "the file is empty");
    check("[]", "not a JSON object");
    check("hello", "not a JSON object");
    check("{}", "`log` is missing");
    check(r#"{"log": []}"#, "`log` is not an object");
    check(r#"{"log": {}}"#, "`log.entries` is missing");
    check(r#"{"log": {"entries": {}}}"#, "`log.entries` is not an array");
    check(r#"{"log": {"entries": null}}"#, "`log.entries` is not an array");
    check(r#"{"log": {"entries": [], "entries": []}}"#, "stands twice");
    check(r#"{"log": {"entries": []}} x"#, "text follows the end");
    check("{\n\"log\": {\"entries\": [\n{\"a\": tru}]}}", "line 3, column 10: expected ident");
    check("{\"log\": {\"pages\": [1,],\n \"entries\": []}}", "line 1, column 22: ");
    check(r#"{"log": {"entries": [{}, ]}}"#, "an entry is missing");
    check(r#"{"log": {"entries": [{} {}]}}"#, "expected `,` or `]`");
    check(r#"{"log": {"entries": [{}"#, "ends inside");
    check(r#"{"log": {"entries": [{"a": "b"#, "ends inside a value");
    check(r#"{"log": {"entries": [{"a": [}]}]}}"#, "line 1, column 29");
    check(r#"{"log": {entries: []}}"#, "member name");
    check(r#"{"log" {}}"#, "expected `:`");
}

#[test]
fn the_sink_stops_the_pass() {
    let text = har(&format!("{CHROME},{CHROME}, broken"));
    let mut seen = 0;
    let mut stop = |_: Item<'_>| {
        seen += 1;
        ControlFlow::Break(())
    };
    let summary = convert_slice(text.as_bytes(), &target(), &mut stop).unwrap();
    assert_eq!((summary.records, seen), (1, 1));
}

/// Proxies write bodies as they were sent.
#[test]
fn bodies_in_base64_are_unpacked_and_read_in_their_encoding() {
    use std::io::Write as _;

    let text = r#"{"mail":"ü"}"#;
    let packed = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(text.as_bytes()).unwrap();
    let wide = |bytes_of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes_of).collect::<Vec<u8>>();
    // By another program's compressor.
    let brotli = [11, 6, 128, 123, 34, 109, 97, 105, 108, 34, 58, 34, 195, 188, 34, 125, 3];
    for body in [
        brotli.to_vec(),
        // The headers of a browser's capture stay as they were.
        text.into(),
        zstd::encode_all(text.as_bytes(), 1).unwrap(),
        packed(text.as_bytes()),
        zlib.finish().unwrap(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
        packed(&wide(u16::to_le_bytes)),
    ] {
        let base64 = base64::prelude::BASE64_STANDARD.encode(body);
        let entry = format!(
            r#"{{"request":{{"method":"GET","url":"https://h/a"}},"response":{{"status":200,"headers":[{{"name":"Content-Encoding","value":"br"}}],"content":{{"mimeType":"application/json","encoding":"base64","text":"{base64}"}}}}}}"#
        );
        let Item::Record(record) = one(&entry) else { panic!("refused") };
        assert_eq!(record.response_payload, text);
    }
}

/// What unpacks to more than a record holds, or asks for more memory than a client of HTTP would give, is no body.
#[test]
fn hostile_compression_costs_no_more_than_a_record() {
    let zeros = vec![b' '; 64 << 20];
    let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    std::io::Write::write_all(&mut wide, &zeros).unwrap();
    for body in [zstd::encode_all(&*zeros, 1).unwrap(), wide.finish().unwrap()] {
        let base64 = base64::prelude::BASE64_STANDARD.encode(body);
        let entry = format!(
            r#"{{"request":{{"method":"GET","url":"https://h/a"}},"response":{{"status":200,"content":{{"encoding":"base64","text":"{base64}"}}}}}}"#
        );
        let used = allocation_counter::measure(|| _ = one(&entry)).bytes_max;
        assert!(used < 32 << 20, "{used} bytes");
    }
}

#[test]
fn deep_nesting_is_harmless() {
    let deep = format!(r#"{{"_x": {}{}, "request": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(one(&deep), Item::Refused { .. }));
    let unclosed = format!("{{\"log\": {}", "[".repeat(100_000));
    assert!(items(unclosed.as_bytes()).is_err());
}
