pub mod calls;
pub mod issues;
pub mod overview;
