//! Conditions of groups and definitions of data types: what is accepted is read again, and what is not harms nobody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_inventory::check_rules;

fuzz_target!(|input: &[u8]| check_rules(input));
