//! Schemas: every endpoint has records that can be read again, or a reason.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use portolan_formats::{Target, imperva::Document};
use portolan_record::{Record, Source};

fuzz_target!(|bytes: &[u8]| {
    let target = Target { account_id: 1, collection_id: 2, time: 3, source: Source::Imperva };
    if let Ok(document) = Document::parse(bytes) {
        let targets = BTreeMap::new();
        for multiple in [false, true] {
            let outcomes: Vec<_> = document.convert(&targets, target, multiple).collect();
            assert_eq!(outcomes.len(), document.endpoint_count());
            for outcome in &outcomes {
                assert!(!outcome.records.is_empty() || !outcome.errors.is_empty());
                for record in &outcome.records {
                    // What exceeds a bound is refused by whoever takes it.
                    if let Ok(json) = record.to_bounded_json() {
                        assert_eq!(&Record::parse(&json).unwrap(), record);
                    }
                }
            }
        }
    }
});
