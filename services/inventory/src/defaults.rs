use portolan_ids::AccountId;
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{Deps, Error, store};

const DEFAULT_NAME: &str = "Default";

/// Gives the account its default collection, when it has none.
pub(crate) async fn ensure_default(deps: &Deps, account_id: AccountId) -> Result<(), Error> {
    let missing = deps.without_default([account_id]);
    if !missing.is_empty() {
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            insert_defaults(&mut tx, &missing).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        })
        .await?;
        deps.note_default(&missing);
    }
    Ok(())
}

pub(crate) async fn insert_defaults(tx: &mut portolan_store::Tx, account_ids: &[AccountId]) -> Result<(), Error> {
    Ok(store::collections::insert_default(tx, account_ids, DEFAULT_NAME, now_s()).await?)
}
