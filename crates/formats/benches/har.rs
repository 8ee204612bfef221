//! HAR conversion against parsing the same bytes to a `serde_json::Value`. `PORTOLAN_TEST_DATA` names the real files.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portolan_formats::{Target, har};
use portolan_record::Source;

fn bench(c: &mut Criterion) {
    let Some(directory) = std::env::var_os("PORTOLAN_TEST_DATA") else {
        println!("skipped: PORTOLAN_TEST_DATA is not set");
        return;
    };
    let target = Target { account_id: 1_000_000, collection_id: 7, time: 1_756_885_500, source: Source::Har };
    for name in ["cnn-chrome.har", "request-generator-all-status-and-method.har"] {
        let bytes = std::fs::read(PathBuf::from(&directory).join("har").join(name)).expect("the file is readable");
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("value", |b| {
            b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&bytes)).expect("the file is JSON"));
        });
        group.bench_function("validate", |b| b.iter(|| har::validate_slice(black_box(&bytes)).expect("a HAR")));
        let mut sink = |item: har::Item<'_>| {
            black_box(&item);
            ControlFlow::Continue(())
        };
        group.bench_function("convert", |b| {
            b.iter(|| har::convert_slice(black_box(&bytes), &target, &mut sink).expect("a HAR"));
        });
        group.bench_function("convert_reader", |b| {
            b.iter(|| har::convert_reader(black_box(&bytes[..]), &target, &mut sink).expect("a HAR"));
        });
        let mut write = |item: har::Item<'_>| {
            if let har::Item::Record(record) = item {
                black_box(record.to_json());
            }
            ControlFlow::Continue(())
        };
        group.bench_function("convert_and_write", |b| {
            b.iter(|| har::convert_slice(black_box(&bytes), &target, &mut write).expect("a HAR"));
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
