//! portolan-inventory
