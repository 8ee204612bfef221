use portolan_api::Result;
use portolan_ids::UserId;
use portolan_store::{FromColumn, Row, Value, args};

use crate::model::revocations::Ended;

/// The values of a statement on what an owner has.
pub(super) fn of_owner(ended: &Ended) -> Vec<Value> {
    args![ended.account_id, ended.user_id.unwrap_or_default(), ended.ended_at]
}

/// User and id of what was deleted.
pub(super) fn owned<Id: FromColumn>(row: &Row) -> Result<(UserId, Id)> {
    Ok((row.get("user_id")?, row.get("id")?))
}
