//! The inventory service as a process of its own.

use std::process::ExitCode;

use portolan_inventory::{Inventory, ingest::PROBE_ARGUMENT, probe};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(PROBE_ARGUMENT) => probe(),
        _ => portolan_runtime::main::<Inventory>(),
    }
}
