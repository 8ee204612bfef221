//! portolan-gateway
