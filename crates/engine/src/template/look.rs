use portolan_path::Segment;

use super::dictionary::{is_word, stays_literal};
use super::segment::Variable;

/// What a literal token looks like, from which follows how much has to be seen before it gives way to a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Digits in it, or a code such as `DE`, `en-US`: an identifier as soon as a few are alike.
    Id,
    /// No word of the dictionary.
    Name,
    /// Words joined by dashes or underscores, this many.
    Slug(usize),
    Word,
    /// A word that reads as the name of a set: `users`.
    Plural,
}

impl Look {
    /// The look of a token; nothing for one that is never a value: a variable, a version, what is done or which view of
    /// the data is asked for.
    pub fn of(token: &str) -> Option<Self> {
        let verb = verb_of(token);
        if !verb.is_empty() {
            return Self::of(&token[..token.len() - verb.len()]);
        }
        let is_capital = token.bytes().all(|byte| byte.is_ascii_uppercase());
        if (is_capital && (2..=3).contains(&token.len())) || is_locale(token) || is_code(token) {
            return Some(Self::Id);
        }
        if token.is_empty() || Variable::of_token(token).is_some() || is_constant(token) {
            return None;
        }
        if !is_word(token) {
            return match stays_literal(token) {
                true => None,
                false => Some(if token.bytes().any(|byte| byte.is_ascii_digit()) { Self::Id } else { Self::Name }),
            };
        }
        let parts = token.split(['-', '_']).filter(|part| !part.is_empty()).count();
        let lower = token.to_ascii_lowercase();
        Some(match parts {
            0 | 1 if lower.ends_with('s') && !lower.ends_with("ss") && !lower.ends_with("us") => Self::Plural,
            0 | 1 => Self::Word,
            parts => Self::Slug(parts),
        })
    }

    /// Whether calls have to be alike in all but a tenth of their names, not a fifth.
    pub fn is_strict(self) -> bool {
        !matches!(self, Self::Id | Self::Name)
    }

    /// Whether the token may be a variable at its place among the segments: the first word of a path names what it is
    /// about.
    pub fn is_open_at(self, at: usize) -> bool {
        at > 0 || !self.is_strict()
    }

    /// Whether other segments are compared without regard to this one: it is a value rather than a name of a set.
    pub fn is_masked(self) -> bool {
        matches!(self, Self::Id | Self::Name | Self::Slug(3..))
    }

    /// What one such token counts towards a variable, where calls show so many names. [`super::weak::POINTS_MIN`]
    /// make one.
    pub fn points(self, names: usize) -> usize {
        let is_rich = names >= RICH;
        match self {
            Self::Id if is_rich => 4,
            Self::Name if is_rich => 2,
            Self::Id | Self::Name => 1,
            Self::Slug(3..) if !is_rich => 1,
            _ if !is_rich => 0,
            Self::Slug(3..) => 4,
            Self::Slug(_) => 3,
            Self::Word if names > RICH => 3,
            Self::Word => 2,
            Self::Plural => 0,
        }
    }
}

/// Names of parameters from which on calls that are alike are so for a reason.
pub(super) const RICH: usize = 3;

/// What is done, and which view is asked for.
const CONSTANTS: &[&str] = &[
    "me",
    "self",
    "current",
    "new",
    "all",
    "any",
    "latest",
    "recent",
    "default",
    "search",
    "query",
    "find",
    "list",
    "lookup",
    "browse",
    "filter",
    "batch",
    "bulk",
    "count",
    "counts",
    "total",
    "totals",
    "export",
    "import",
    "upload",
    "download",
    "preview",
    "create",
    "update",
    "delete",
    "remove",
    "add",
    "edit",
    "get",
    "set",
    "save",
    "copy",
    "move",
    "clone",
    "merge",
    "split",
    "sync",
    "login",
    "logout",
    "signin",
    "signout",
    "signup",
    "register",
    "verify",
    "validate",
    "confirm",
    "cancel",
    "approve",
    "reject",
    "accept",
    "decline",
    "submit",
    "publish",
    "unpublish",
    "archive",
    "unarchive",
    "restore",
    "enable",
    "disable",
    "activate",
    "deactivate",
    "start",
    "stop",
    "pause",
    "resume",
    "restart",
    "retry",
    "refresh",
    "reset",
    "revoke",
    "renew",
    "close",
    "reopen",
    "open",
    "lock",
    "unlock",
    "send",
    "resend",
    "notify",
    "run",
    "execute",
    "check",
    "test",
    "ping",
    "health",
    "healthz",
    "ready",
    "live",
    "status",
    "stats",
    "statistics",
    "metrics",
    "summary",
    "overview",
    "report",
    "history",
    "settings",
    "config",
    "configuration",
    "preferences",
    "profile",
    "schema",
    "metadata",
    "info",
    "details",
    "version",
    "versions",
    "help",
    "about",
    "terms",
    "privacy",
    "api",
    "rest",
    "graphql",
    "rpc",
    "oauth",
    "oauth2",
    "token",
    "auth",
    "admin",
    "public",
    "private",
    "internal",
    "external",
    "static",
    "assets",
    "images",
    "css",
    "js",
    "fonts",
    "feed",
    "trending",
    "popular",
    "featured",
    "random",
    "first",
    "last",
    "next",
    "previous",
    "today",
    "active",
    "pending",
    "archived",
    "deleted",
    "draft",
    "drafts",
    "index",
    "home",
    "root",
    "pay",
    "refund",
    "ship",
    "track",
    "transfer",
    "withdraw",
    "deposit",
    "charge",
    "redeem",
    "authorize",
    "capture",
    "void",
    "follow",
    "unfollow",
    "like",
    "unlike",
    "vote",
    "block",
    "unblock",
    "mute",
    "unmute",
    "join",
    "leave",
    "invite",
    "assign",
    "unassign",
    "complete",
    "finish",
    "promote",
    "demote",
    "subscribe",
    "unsubscribe",
    "rotate",
    "suspend",
    "reactivate",
    "schedule",
    "reschedule",
    "deploy",
    "rollback",
    "backup",
    "calculate",
    "estimate",
    "convert",
    "translate",
    "analyze",
    "generate",
    "connect",
    "disconnect",
    "checkout",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
    "annual",
    "mine",
    "general",
    "billing",
    "security",
    "followers",
    "following",
    "cpu",
    "memory",
    "disk",
    "network",
];

/// Verbs with which names of calls begin: `getOcrText`, `find_by_iban`.
const VERBS: &[&str] = &[
    "get",
    "set",
    "find",
    "list",
    "search",
    "fetch",
    "create",
    "update",
    "delete",
    "remove",
    "add",
    "is",
    "has",
    "check",
    "validate",
    "verify",
    "compute",
    "calculate",
    "generate",
    "export",
    "import",
    "upload",
    "download",
    "send",
    "batch",
    "bulk",
    "count",
    "query",
    "lookup",
    "convert",
    "parse",
    "submit",
    "approve",
    "cancel",
    "assign",
    "mark",
    "reset",
    "resolve",
    "register",
    "load",
    "save",
    "read",
    "write",
    "do",
    "run",
    "start",
    "stop",
    "sync",
    "merge",
    "move",
    "copy",
    "post",
    "put",
    "patch",
    "make",
    "change",
    "edit",
    "revoke",
    "invite",
    "publish",
    "archive",
    "restore",
];

/// Whether the token names what is done or which view is asked for, or holds a variable in one of its parts.
pub(super) fn is_constant(token: &str) -> bool {
    CONSTANTS.iter().any(|known| known.eq_ignore_ascii_case(token))
        || is_call(token)
        || is_dotted_call(token)
        || !verb_of(token).is_empty()
        || (Variable::of_token(token).is_none() && !Segment::of_words(token).is_literal())
}

/// The verb behind a colon, with it: `:cancel` of `nightly:cancel`. It says what is done and is no part of the value.
pub(super) fn verb_of(token: &str) -> &str {
    let Some(at) = token.rfind(':').filter(|at| *at > 0) else { return "" };
    let verb = &token[at + 1..];
    if is_reverse_domain(&token[..at]) {
        return "";
    }
    let is_verb = verb.len() >= 3 && verb.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_verb { &token[at..] } else { "" }
}

/// A verb with something behind it, in the spelling of programs.
fn is_call(token: &str) -> bool {
    // `GetUser` as `getUser`.
    let end = token
        .bytes()
        .skip(1)
        .position(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'))
        .map(|end| end + 1)
        .filter(|end| (2..token.len() - 1).contains(end));
    end.is_some_and(|end| {
        VERBS.iter().any(|verb| verb.len() == end && is_of_first_letter(verb, &token[..end]))
            && token.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-')
    })
}

/// Whether a word is the other, whose first letter may be a capital.
fn is_of_first_letter(word: &str, other: &str) -> bool {
    let (word, other) = (word.as_bytes(), other.as_bytes());
    word[0] == other[0].to_ascii_lowercase() && word[1..] == other[1..]
}

/// A noun and what is done with it: `chat.postMessage`, `users.list`.
fn is_dotted_call(token: &str) -> bool {
    let Some((noun, verb)) = token.rsplit_once('.') else { return false };
    let is_noun = !noun.is_empty() && noun.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.');
    is_noun
        && super::identifiers::file_of(token).is_none()
        && (is_call(verb)
            || CONSTANTS.iter().any(|known| known.eq_ignore_ascii_case(verb))
            || VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb)))
}

/// Names as packages have them, from the domain downwards: `com.acme`, which coordinates follow by a colon.
fn is_reverse_domain(front: &str) -> bool {
    const TOPS: [&str; 8] = ["com", "org", "net", "io", "dev", "edu", "gov", "app"];
    front.split_once('.').is_some_and(|(top, rest)| TOPS.contains(&top) && !rest.is_empty())
}

/// A word that is one of a closed set of values: the code of a language, as `it`, `no`, `is`, a month, a day of the week.
fn is_code(token: &str) -> bool {
    const CODES: [&str; 43] = [
        "am",
        "as",
        "be",
        "da",
        "de",
        "el",
        "en",
        "es",
        "et",
        "fa",
        "fi",
        "he",
        "hi",
        "is",
        "it",
        "la",
        "mi",
        "my",
        "no",
        "or",
        "pi",
        "so",
        "ta",
        "to",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    CODES.contains(&token)
}

/// `en-US`, `pt_br`.
fn is_locale(token: &str) -> bool {
    let bytes = token.as_bytes();
    bytes.len() == 5
        && matches!(bytes[2], b'-' | b'_')
        && bytes.iter().enumerate().all(|(at, byte)| at == 2 || byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_look_of_what_they_are() {
        for (token, expected) in [
            ("x7k2p", Some(Look::Id)),
            ("INV-12", Some(Look::Id)),
            ("IT", Some(Look::Id)),
            ("en-US", Some(Look::Id)),
            ("octocat", Some(Look::Name)),
            ("lemon-garlic-pasta", Some(Look::Slug(3))),
            ("falcon", Some(Look::Word)),
            ("users", Some(Look::Plural)),
            ("v1", None),
            ("me", None),
            ("getOcrText", None),
            ("findByIban", None),
            ("mark-as-read", None),
            ("STRING", None),
            ("STRING:cancel", None),
            ("nightly:cancel", Some(Look::Word)),
            ("x7k2p:cancel", Some(Look::Id)),
            ("me:cancel", None),
            (":cancel", Some(Look::Name)),
            ("", None),
        ] {
            assert_eq!(Look::of(token), expected, "{token}");
        }
        assert!(!Look::Word.is_open_at(0) && Look::Word.is_open_at(1) && Look::Id.is_open_at(0));
    }
}
