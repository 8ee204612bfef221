//! portolan-formats
