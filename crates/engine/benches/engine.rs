//! Speed of the engine over records of 1 to 2 KB, beside the speed of parsing the same bytes to a JSON value. The rows that
//! it prints first are of a Markdown table.

#[allow(dead_code)]
#[path = "../tests/it/labelled.rs"]
mod labelled;

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portolan_engine::{Detectors, is_phone_number, observe};
use portolan_record::{Record, Source};
use serde_json::{Value, json};

const RECORDS: usize = 200;
const ROUNDS: usize = 200;

fn records() -> Vec<String> {
    (0..RECORDS).map(record).collect()
}

/// One call of a shop's API. Two in three read an order and one places it, so it has a request body. One in four answers
/// names the customer by e-mail, one in twelve by telephone too; the addresses and numbers differ from record to record.
/// Each has a JSON answer of 1 to 5 lines, eight request and four response headers, two query parameters, an identifier
/// in its path, a UUID and two times.
fn record(index: usize) -> String {
    let is_order = index.is_multiple_of(3);
    let items: Vec<_> = (0..1 + index % 5)
        .map(|item| {
            json!({
                "sku": format!("SKU-{index}-{item}"),
                "title": "Chart of the northern coast, second edition",
                "quantity": item + 1,
                "price": 12.5,
                "inStock": item % 2 == 0,
            })
        })
        .collect();
    let mut customer = json!({ "id": 7_000 + index * 13, "name": "Jane Doe" });
    if index.is_multiple_of(4) {
        customer["email"] = format!("jane{index}@mail.org").into();
    }
    if index.is_multiple_of(12) {
        customer["phone"] = format!("+1415555{}", 2000 + index * 7).into();
    }
    let answer = json!({
        "id": 100_000 + index,
        "status": if is_order { "placed" } else { "shipped" },
        "customer": customer,
        "items": items,
        "createdAt": "2026-03-01T12:00:00Z",
        "updatedAt": format!("2026-03-{:02}T08:{:02}:11Z", 1 + index % 28, index % 60),
        "trace": format!("3f2504e0-4f89-11d3-9a0c-{index:012x}"),
        "note": null,
    });
    let request_headers = json!({
        "host": "api.shop.net",
        "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "accept": "application/json",
        "accept-encoding": "gzip, br",
        "accept-language": "en-US,en;q=0.9",
        "authorization": "Bearer 7f3b2c1d0e",
        "content-type": "application/json",
        "x-request-id": format!("{:016x}", index * 7_919 + 5_000_011),
    });
    let response_headers = json!({
        "cache-control": "no-store",
        "content-length": answer.to_string().len().to_string(),
        "content-type": "application/json; charset=utf-8",
        "date": "Sun, 01 Mar 2026 12:00:00 GMT",
    });
    let (method, path, status_code, payload) = match is_order {
        true => {
            let body = json!({ "coupon": "SPRING", "gift": false, "lines": 3 }).to_string();
            ("POST", format!("/v1/customers/{index}/orders?expand=items&page={}", index % 9), 201, body)
        }
        false => ("GET", format!("/v1/orders/{}?expand=items&page={}", 100_000 + index, index % 9), 200, String::new()),
    };
    Record {
        account_id: 1_000_000,
        collection_id: 7,
        source: Source::Mirroring,
        method: method.into(),
        path: path.into(),
        protocol: "HTTP/1.1".into(),
        request_headers: request_headers.to_string().into(),
        request_payload: payload.into(),
        response_headers: response_headers.to_string().into(),
        response_payload: answer.to_string().into(),
        status_code,
        status: if is_order { "Created" } else { "OK" }.into(),
        time: 1_772_366_400 + index as i64,
        ip: "10.0.0.1".into(),
        direction: 1,
        ..Record::default()
    }
    .to_json()
}

fn speed(criterion: &mut Criterion) {
    labelled::print();
    let texts = records();
    let detectors = Detectors::default();
    let bytes: usize = texts.iter().map(String::len).sum();
    let parsed: Vec<_> = texts.iter().map(|text| Record::parse(text).expect("the records are well-formed")).collect();

    let parse = |text: &str| _ = black_box(serde_json::from_str::<Value>(text));
    let engine = |record: &Record<'_>| _ = black_box(observe(record, &detectors));
    let both = |text: &str| _ = black_box(Record::parse(text).map(|record| observe(&record, &detectors)));

    let baseline = seconds(|| texts.iter().for_each(|text| parse(text)));
    let alone = seconds(|| parsed.iter().for_each(engine));
    let whole = seconds(|| texts.iter().for_each(|text| both(text)));
    let size = bytes / texts.len();
    for (what, seconds) in [("ingest engine", alone), ("reading a record and the engine", whole)] {
        println!(
            "| {what}, records of {size} bytes on average, one core | {:.0} MB/s | serde_json to Value {:.0} MB/s | {:.2} × \
             | ≥ 0.4 × |",
            bytes as f64 / 1e6 / seconds,
            bytes as f64 / 1e6 / baseline,
            baseline / seconds
        );
    }

    let phone = seconds(|| texts.iter().for_each(|_| _ = black_box(is_phone_number(black_box("+14155552671")))));
    println!("one phone number takes {:.2} of the time of observing one record", phone / alone);

    let mut group = criterion.benchmark_group("engine");
    group.sample_size(20).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("serde_json_value", |bencher| bencher.iter(|| texts.iter().for_each(|text| parse(text))));
    group.bench_function("observe", |bencher| bencher.iter(|| parsed.iter().for_each(engine)));
    group.bench_function("parse_and_observe", |bencher| bencher.iter(|| texts.iter().for_each(|text| both(text))));
    group.finish();
}

/// The fastest of a number of rounds, which other work on the machine disturbs least.
fn seconds(round: impl Fn()) -> f64 {
    let timed = |_| {
        let start = Instant::now();
        round();
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(timed).fold(f64::INFINITY, f64::min)
}

criterion_group!(benches, speed);
criterion_main!(benches);
