//! portolan-authz
