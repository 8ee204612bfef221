//! Postman: the client of its API, and what is imported from and exported to it.

pub mod api;
pub mod credentials;
pub mod export;
pub mod file;
pub mod specification;
pub mod workspace;
