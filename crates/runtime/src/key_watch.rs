//! Follows the key file while the process runs.

use std::sync::Arc;

use portolan_store::Db;

use crate::{Keys, key_mark, keys::LOOK_EVERY};

/// Looks at the file from now on; the mark of the database follows the keys.
pub(crate) fn start(keys: &Arc<Keys>, db: &Db) {
    let (keys, db) = (Arc::downgrade(keys), db.clone());
    tokio::spawn(async move {
        // A mark that could not be written is written the next time.
        let mut is_marked = true;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(keys) = keys.upgrade() else { return };
            is_marked &= !keys.look();
            if !is_marked {
                match key_mark::move_on(&db, &keys).await {
                    Ok(()) => is_marked = true,
                    Err(error) => tracing::warn!(%error, "the mark of the secret key could not be written"),
                }
            }
        }
    });
}
