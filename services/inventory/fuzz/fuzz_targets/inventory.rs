//! Records of the log become rows of the tables, are read back, and say the same a second time.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portolan_inventory::Tables;

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::open);

fuzz_target!(|input: &[u8]| TABLES.check(input));
