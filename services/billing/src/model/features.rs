//! The features that usage is metered by.

/// Counts that other services keep; events from outside do not change them.
pub const KEPT_COUNTS: [&str; 5] =
    ["ACTIVE_ENDPOINTS", "ACTIVE_ACCOUNTS", "MCP_ASSET_COUNT", "AI_ASSET_COUNT", "API_COLLECTIONS"];
/// What exists at a moment. Events may lower it; a month's end leaves it as it is.
const STANDING: [&str; 1] = ["CUSTOM_TESTS"];
/// MCP and AI assets share their limits: where either is over, both are.
const ASSETS: [&str; 2] = ["MCP_ASSET_COUNT", "AI_ASSET_COUNT"];
/// Longest name of a feature.
const NAME_CHARS_MAX: usize = 128;

/// Whether another service keeps the count.
pub fn is_kept(feature: &str) -> bool {
    KEPT_COUNTS.contains(&feature)
}

/// Whether the usage is what exists, rather than what happened in the present month.
pub fn is_standing(feature: &str) -> bool {
    is_kept(feature) || STANDING.contains(&feature)
}

/// The features whose limits count as one with that of `feature`, itself included.
pub fn limited_with(feature: &str) -> Vec<&str> {
    if ASSETS.contains(&feature) { ASSETS.to_vec() } else { vec![feature] }
}

/// Whether a feature may have this name.
pub fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(known)
}
