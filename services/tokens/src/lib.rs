//! portolan-tokens
