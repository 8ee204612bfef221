//! HTTP requests become messages that the services can read, and any bytes of a service become JSON or a refusal.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portolan_gateway::Transcoder;

static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(Transcoder::from_contract);

fuzz_target!(|input: &[u8]| TRANSCODER.check(input));
