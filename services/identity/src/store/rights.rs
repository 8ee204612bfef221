//! The one way in which rights change: by a transaction that was announced to the readers of grants before it began,
//! and is answered when they have it.
//!
//! # Invariants
//! - What changes a right takes a [`RightsTx`], which exists only with an announcement and commits only to its end.
//! - It touches no right that was not announced; one that it meets on the way is noted, and nothing is committed.
//! - What is made by a transaction itself ([`Fresh`]) is nobody's yet, and needs no announcement.

use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
};

use portolan_api::{Error, Result};
use portolan_authz::{Ended, PendingChange, Scope, grant_key, role_key};
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Row, Tx};

use super::{AccountReader, Reader};

/// A transaction that may change rights.
pub(crate) struct RightsTx {
    tx: Tx,
    change: PendingChange,
    announced: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl RightsTx {
    /// Begins a transaction for a change of the grants under these keys, which was announced.
    pub(crate) async fn begin(db: &Db, change: PendingChange, announced: BTreeSet<String>) -> Result<Self> {
        match db.begin().await {
            Ok(tx) => Ok(Self { tx, change, announced, missing: BTreeSet::new() }),
            Err(error) => {
                change.withdraw().await;
                Err(error.into())
            }
        }
    }

    /// Whether everything that was touched had been announced.
    pub(crate) fn is_announced(&self) -> bool {
        self.missing.is_empty()
    }

    /// Commits, and ends the change: readers have it when this succeeds, and copies when what it answers has settled.
    ///
    /// # Errors
    /// Those of the store; `UNAVAILABLE` when readers cannot be told.
    pub(crate) async fn commit(self) -> Result<Ended> {
        if !self.is_announced() {
            return Err(Error::internal("a change of rights was not announced"));
        }
        self.tx.commit().await?;
        self.change.end().await
    }

    /// Rolls back, and returns the keys of what was touched without an announcement.
    pub(crate) async fn discard(self) -> BTreeSet<String> {
        // What is not rolled back here is so at the drop of the connection.
        let _ = self.tx.rollback().await;
        self.change.withdraw().await;
        self.missing
    }

    pub(super) fn touch_member(&mut self, account_id: AccountId, user_id: UserId) {
        for key in member_keys(account_id, user_id) {
            self.touch(key);
        }
    }

    pub(super) fn touch_role(&mut self, account_id: AccountId, name: &str) {
        self.touch(role_key(account_id, name));
    }

    fn touch(&mut self, key: String) {
        if !self.announced.contains(&key) {
            self.missing.insert(key);
        }
    }
}

/// The grants of a member, one a scope.
pub(crate) fn member_keys(account_id: AccountId, user_id: UserId) -> impl Iterator<Item = String> {
    Scope::ALL.into_iter().map(move |scope| grant_key(account_id, user_id, scope))
}

impl Deref for RightsTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for RightsTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl AccountReader for &mut RightsTx {
    async fn rows(self, sql: &'static str, account_id: AccountId) -> Result<Vec<Row>> {
        (&mut self.tx).rows(sql, account_id).await
    }
}

impl Reader for &mut RightsTx {
    async fn row(self, sql: &'static str, account_id: AccountId, user_id: UserId) -> Result<Option<Row>> {
        (&mut self.tx).row(sql, account_id, user_id).await
    }
}

/// A user or an account that the transaction at hand makes: nobody can have read what they hold, or what is held there.
pub(crate) struct Fresh {
    user_id: Option<UserId>,
    account_id: Option<AccountId>,
}

impl Fresh {
    pub(super) fn user(user_id: UserId) -> Self {
        Self { user_id: Some(user_id), account_id: None }
    }

    pub(super) fn account(account_id: AccountId) -> Self {
        Self { user_id: None, account_id: Some(account_id) }
    }

    /// Refuses a membership of which neither side is new.
    pub(super) fn must_be_of(&self, account_id: AccountId, user_id: UserId) -> Result<()> {
        if self.user_id == Some(user_id) || self.account_id == Some(account_id) {
            return Ok(());
        }
        Err(Error::internal("a membership between a known user and a known account needs an announcement"))
    }
}
