//! The gateway as a process of its own.

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

fn main() -> std::process::ExitCode {
    portolan_gateway::main()
}
