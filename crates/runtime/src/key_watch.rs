//! Follows the key file while the process runs, and tells what it has read.

use std::sync::Arc;

use portolan_store::Db;

use crate::{Keys, key_mark, key_readers, keys::LOOK_EVERY, now_s};

/// Looks at the file from now on; the mark of the database follows the keys.
pub(crate) fn start(keys: &Arc<Keys>, db: &Db) {
    let (keys, db) = (Arc::downgrade(keys), db.clone());
    let reader_id = format!("{:032x}", rand::random::<u128>());
    tokio::spawn(async move {
        // What could not be written is written the next time.
        let (mut is_marked, mut told_at) = (true, 0);
        while let Some(keys) = keys.upgrade() {
            if keys.look() {
                (is_marked, told_at) = (false, 0);
            }
            if !is_marked {
                match key_mark::move_on(&db, &keys).await {
                    Ok(()) => is_marked = true,
                    Err(error) => tracing::warn!(%error, "the mark of the secret key could not be written"),
                }
            }
            if now_s() - told_at >= key_readers::TELL_EVERY_S {
                match key_readers::tell(&db, &reader_id, &keys).await {
                    Ok(()) => told_at = now_s(),
                    Err(error) => tracing::debug!(%error, "it could not be told which secret key is read"),
                }
            }
            drop(keys);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
}
