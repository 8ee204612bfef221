//! The tables of this service: one statement a function.

pub mod credentials;
pub mod specifications;
pub mod uploads;
