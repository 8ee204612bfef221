//! portolan-log
