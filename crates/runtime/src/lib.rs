//! portolan-runtime
