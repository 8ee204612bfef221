use portolan_api::{Error, Result};
use portolan_store::{Tx, args};

const NEXT_NUMBER: &str = "UPDATE token_sequences SET next = next + 1 WHERE name = $1 RETURNING next - 1 AS n";

/// The next number of a sequence; it is locked until the transaction ends.
pub(crate) async fn next_number<Id: From<i64>>(tx: &mut Tx, sequence: &str) -> Result<Id> {
    Ok(tx.fetch_one(NEXT_NUMBER, args![sequence]).await?.get::<i64>("n")?.into())
}

/// The next id of an API key or Slack webhook, which are listed together.
pub(crate) async fn next_key_id<Id: From<i32>>(tx: &mut Tx) -> Result<Id> {
    i32::try_from(next_number::<i64>(tx, "api_key").await?).map(Id::from).map_err(Error::internal)
}
