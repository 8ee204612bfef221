//! What a look at one part of an installation gives.

/// What is well in a few words, or what is wrong with its place, cause and next step.
pub(super) type Finding = Result<String, String>;
