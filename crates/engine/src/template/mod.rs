//! Templates: which endpoint a URL belongs to.
//!
//! - [`shape`] looks at one URL alone and turns visible identifiers into variable segments. Its result is the *raw URL*,
//!   under which everything is stored.
//! - [`Catalog`] gives each raw URL of a collection its *effective URL*, from the whole set of raw URLs: a literal
//!   segment joins a template that it fits, and segments that differ in enough ways between like calls become variable:
//!   three that look like identifiers, ten that are no words, words only where the calls show enough to be sure. What is
//!   variable under one path is so for every call below that path. A verb behind a colon stays. URLs that differ in the
//!   kinds of their variables alone are one where their calls show that they are.
//!   [`assign_all`] is the same rule written without any index; the tests hold the two together.
//!
//! Nothing is stored under an effective URL, so a merge loses nothing and can be undone.

/// The version of these rules. It rises with each change after which the same calls make other templates; what is stored
/// under an older one is then brought to the rules of today.
pub const RULES_VERSION: i64 = 2;

mod assign;
mod catalog;
mod declared;
mod dictionary;
mod group;
mod identifiers;
mod look;
mod regroup;
mod segment;
mod space;
mod symbols;
mod trie;
mod weak;
mod wider;

pub use assign::{RawEndpoint, assign_all};
pub use catalog::{Catalog, Retemplated};
pub use dictionary::is_word;
pub use segment::{SplitUrl, Variable, VariableToken, decoded, is_templatable, shape, without_query};
pub use weak::{BodyNames, NAMES_MAX, POINTS_MIN};
