use std::collections::BTreeMap;

use portolan_ids::AccountId;

/// How far one partition of the log is in the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Every record below it is in the tables.
    pub position: i64,
    /// Of these accounts, every record below an offset behind the position; 0 stands for records that name none.
    pub ahead: BTreeMap<i64, i64>,
}

impl Reached {
    /// The offset below which every record of the account is in the tables.
    pub fn of(&self, account_id: AccountId) -> i64 {
        let ahead = self.ahead.get(&account_id.get()).copied().unwrap_or_default();
        self.position.max(ahead)
    }
}
