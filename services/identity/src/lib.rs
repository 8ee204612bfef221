//! portolan-identity
