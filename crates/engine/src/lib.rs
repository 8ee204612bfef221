//! portolan-engine
