use std::{
    hash::{BuildHasher as _, RandomState},
    net::TcpListener,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Below the ports that the system gives to outgoing connections, one of which could take a port before its server does.
const FIRST: u16 = 10_000;
const COUNT: u64 = 9_000;

/// A port of 127.0.0.1 that was free a moment ago. No two callers in a process get the same.
pub fn free_port() -> u16 {
    static TAKEN: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(std::process::id()) % COUNT));
    loop {
        let offset = TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + u16::try_from(offset).expect("an offset within the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
