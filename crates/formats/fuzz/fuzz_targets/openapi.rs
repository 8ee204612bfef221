//! Specifications: every operation has an outcome, and every record can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_formats::{Target, openapi::Document};
use portolan_record::{Record, Source};

fuzz_target!(|bytes: &[u8]| {
    let target = Target { account_id: 1, collection_id: 2, time: 3, source: Source::OpenApi };
    if let Ok(document) = Document::parse(bytes) {
        let outcomes: Vec<_> = document.operations(&target).collect();
        assert_eq!(outcomes.len(), document.operation_count());
        for record in outcomes.iter().filter_map(|outcome| outcome.record.as_ref()) {
            // What exceeds a bound is refused by whoever takes it.
            if let Ok(json) = record.to_bounded_json() {
                assert_eq!(&Record::parse(&json).unwrap(), record);
            }
        }
    }
});
