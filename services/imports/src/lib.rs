//! portolan-imports
