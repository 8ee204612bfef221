//! Signed heads: what an installation says of the end of a chain, to be kept where its database cannot be written.

use std::{fmt, str::FromStr};

use portolan_ids::AccountId;

use super::{audit::Head, audit_key::Key};

const PURPOSE: &str = "audit signed head";
/// What the text of a signed head begins with, and the version of its form.
const PREFIX: &str = "audit-head:1:";

/// The end of a chain at one moment, under a key of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Whose chain it is.
    pub account_id: AccountId,
    /// The last event, and its hash in hex.
    pub seq: i64,
    /// Of the last event, in hex.
    pub hash: String,
    /// How many events were in the database; the ones before had left it.
    pub count: i64,
    /// Unix milliseconds at which it was signed.
    pub time_ms: i64,
    /// The key that signed it.
    pub key_id: String,
    /// A MAC over all of it, in hex.
    pub signature: String,
}

/// Why a text is no signed head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no signed head: one begins with {PREFIX} and is a line of `portolan audit heads`")]
pub struct Unreadable;

impl SignedHead {
    /// Signs a head as it is at this moment.
    pub fn sign(head: &Head, key: &Key, time_ms: i64) -> Self {
        let mut signed = Self {
            account_id: head.account_id,
            seq: head.seq,
            hash: head.hash.clone(),
            count: head.seq - head.anchor_seq,
            time_ms,
            key_id: key.id.clone(),
            signature: String::new(),
        };
        signed.signature = key.mac(PURPOSE, &signed.numbers(), &[&signed.hash]);
        signed
    }

    /// Whether this key signed it as it is.
    pub fn is_by(&self, key: &Key) -> bool {
        self.key_id == key.id && key.made(&self.signature, PURPOSE, &self.numbers(), &[&self.hash])
    }

    /// Every signed head in a text, such as a log.
    ///
    /// # Errors
    /// When one that begins cannot be read.
    pub fn find(text: &str) -> Result<Vec<Self>, Unreadable> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-');
        let end = |rest: &str| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        text.match_indices(PREFIX).map(|(at, _)| text[at..at + end(&text[at..])].parse()).collect()
    }

    fn numbers(&self) -> [i64; 4] {
        [self.account_id.into(), self.seq, self.count, self.time_ms]
    }
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, seq, hash, count, time_ms, key_id, signature } = self;
        write!(f, "{PREFIX}{account_id}:{seq}:{count}:{time_ms}:{key_id}:{hash}:{signature}")
    }
}

impl FromStr for SignedHead {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let parts: Vec<&str> = text.trim().strip_prefix(PREFIX).ok_or(Unreadable)?.split(':').collect();
        let [account_id, seq, count, time_ms, key_id, hash, signature] = parts[..] else { return Err(Unreadable) };
        let number = |text: &str| text.parse::<i64>().map_err(|_| Unreadable);
        Ok(Self {
            account_id: number(account_id)?.into(),
            seq: number(seq)?,
            count: number(count)?,
            time_ms: number(time_ms)?,
            key_id: key_id.to_owned(),
            hash: hash.to_owned(),
            signature: signature.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_and_every_part_is_signed() {
        let key = Key::new([7; 32]);
        let head = Head { seq: 42, hash: "ab".repeat(32), anchor_seq: 2, ..Head::new(AccountId(-1)) };
        let signed = SignedHead::sign(&head, &key, 1_700_000_000_000);
        let text = signed.to_string();
        assert!(signed.is_by(&key) && !signed.is_by(&Key::new([8; 32])) && signed.count == 40);
        let log = format!("{{\"message\":\"audit head\",\"head\":\"{text}\"}}\nother\nhead={text} x");
        assert_eq!(SignedHead::find(&log).unwrap(), [signed.clone(), signed]);
        let body = &text[PREFIX.len()..];
        for (at, digit) in body.char_indices().filter(|(_, c)| c.is_ascii_hexdigit()) {
            let other = if digit == '1' { '2' } else { '1' };
            let changed = format!("{PREFIX}{}{other}{}", &body[..at], &body[at + 1..]);
            assert!(!changed.parse::<SignedHead>().unwrap().is_by(&key), "{changed}");
        }
        assert_eq!(SignedHead::find("no head"), Ok(Vec::new()));
        assert_eq!(SignedHead::find(&text[..60]), Err(Unreadable));
    }
}
