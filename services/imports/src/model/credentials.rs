//! The Postman key and workspace of an account.

use portolan_ids::WorkspaceId;
use serde::{Deserialize, Serialize};

/// A credential with its key sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub workspace_id: WorkspaceId,
    /// Hexadecimal.
    pub api_key: String,
}

/// A credential as it is used, and as a job is given it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credential {
    pub api_key: String,
    pub workspace_id: WorkspaceId,
}

impl Credential {
    /// The first three and the last four characters of the key; of a short one nothing.
    pub fn masked_key(&self) -> String {
        let characters: Vec<char> = self.api_key.chars().collect();
        if characters.len() < 14 {
            return "*".repeat(8);
        }
        let (first, last) = (&characters[..3], &characters[characters.len() - 4..]);
        format!("{}{}{}", first.iter().collect::<String>(), "*".repeat(8), last.iter().collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked() {
        let masked =
            |key: &str| Credential { api_key: key.to_owned(), workspace_id: WorkspaceId::default() }.masked_key();
        assert_eq!(masked("PMAK-0123456789-abcd"), "PMA********abcd");
        assert_eq!(masked("short"), "********");
        assert_eq!(masked("ééééééééééééééé"), "ééé********éééé");
    }
}
