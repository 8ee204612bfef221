//! Collections: every request has records that can be read again, or a reason.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use portolan_formats::{Target, postman::Document};
use portolan_record::{Record, Source};

fuzz_target!(|bytes: &[u8]| {
    let target = Target { account_id: 1, collection_id: 2, time: 3, source: Source::Postman };
    if let Ok(document) = Document::parse(bytes) {
        for collection in document.collections() {
            collection.convert(&target, &mut |outcome| {
                assert!(!outcome.records.is_empty() || !outcome.errors.is_empty());
                for record in &outcome.records {
                    // What exceeds a bound is refused by whoever takes it.
                    if let Ok(json) = record.to_bounded_json() {
                        assert_eq!(&Record::parse(&json).unwrap(), record);
                    }
                }
                ControlFlow::Continue(())
            });
        }
    }
});
