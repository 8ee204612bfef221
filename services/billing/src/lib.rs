//! portolan-billing
