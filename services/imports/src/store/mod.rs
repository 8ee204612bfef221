//! The tables of this service: one statement a function.

pub mod jobs;
pub mod uploads;
