//! The identity service as a process of its own. It makes the first user and the first API key.

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

fn main() -> std::process::ExitCode {
    portolan_runtime::main::<portolan_identity::Identity>()
}
