use std::sync::Arc;

/// What a form of the cache found, with a lease of its own.
pub(super) enum Reading<V, L> {
    Hit(Arc<V>),
    Miss,
    Leased(L),
}
