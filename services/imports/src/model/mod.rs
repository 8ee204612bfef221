//! What imports speak of: no I/O, no wire, no SQL.

pub mod candidates;
pub mod credentials;
pub mod documents;
pub mod ids;
pub mod jobs;
pub mod sealed;
pub mod specifications;
pub mod targets;
pub mod text;
pub mod uploads;
pub mod url;
