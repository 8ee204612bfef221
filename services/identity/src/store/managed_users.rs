use portolan_api::Result;
use portolan_store::{Db, Row, args};

use crate::managed_users::{Key, ManagedUser};

const FIND_BY_ID: &str =
    "SELECT account_id, name, external_id, notification_email, origin_url, created_at, updated_at FROM accounts
    WHERE vendor_account_id = $1 AND account_id = $2 AND state = 'ACTIVE'";
const FIND_BY_EXTERNAL_ID: &str =
    "SELECT account_id, name, external_id, notification_email, origin_url, created_at, updated_at FROM accounts
    WHERE vendor_account_id = $1 AND external_id = $2 AND state = 'ACTIVE'";

pub(crate) async fn find_managed_user(db: &Db, vendor_account_id: i64, key: &Key) -> Result<Option<ManagedUser>> {
    let row = match key {
        Key::Id(id) => db.fetch_optional(FIND_BY_ID, args![vendor_account_id, *id]).await?,
        Key::ExternalId(id) => db.fetch_optional(FIND_BY_EXTERNAL_ID, args![vendor_account_id, id]).await?,
    };
    row.as_ref().map(managed_user).transpose()
}

fn managed_user(row: &Row) -> Result<ManagedUser> {
    Ok(ManagedUser {
        id: row.get("account_id")?,
        name: row.get("name")?,
        external_id: row.get("external_id")?,
        notification_email: row.get("notification_email")?,
        origin_url: row.get("origin_url")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
