//! Ids that are derived from the write they belong to, so that a repeated write meets its own traces.

use portolan_ids::{AccountId, UploadId};
use sha2::{Digest, Sha256};

/// Hexadecimal digits of an upload id.
const UPLOAD_ID_DIGITS: usize = 24;

/// The upload id of a write: the same account and write give the same id.
pub fn upload(account_id: AccountId, write_id: &str) -> UploadId {
    let mut id = digest(&format!("upload/{account_id}/{write_id}"));
    id.truncate(UPLOAD_ID_DIGITS);
    id.into()
}

/// The log producer of a write. Write ids may be longer than a producer's name.
pub fn producer(kind: &str, account_id: AccountId, write_id: &str) -> String {
    format!("{kind}/{account_id}/{}", digest(write_id))
}

/// SHA-256 in hex.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_accounts_and_writes_apart() {
        let id = upload(AccountId(1_000_000), "w");
        assert_eq!((id.as_str().len(), id.clone()), (UPLOAD_ID_DIGITS, upload(AccountId(1_000_000), "w")));
        assert!(id != upload(AccountId(1_000_001), "w") && id != upload(AccountId(1_000_000), "v"));
        assert!(producer("har", AccountId(1), &"w".repeat(255)).len() < 200);
    }
}
