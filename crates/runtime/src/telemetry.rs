//! Logs on standard error.

use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging, as text or as one JSON object a line. `RUST_LOG` selects what is logged; `info` when unset.
pub fn init(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process, as tests do, keeps the first logger.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
