use portolan_api::{Error, Result};
use portolan_store::{Tx, args};

const NEXT_NUMBER: &str = "UPDATE token_sequences SET next = next + 1 WHERE name = $1 RETURNING next - 1 AS n";

/// The next number of a sequence; it is locked until the transaction ends.
pub(crate) async fn next_number(tx: &mut Tx, sequence: &str) -> Result<i64> {
    Ok(tx.fetch_one(NEXT_NUMBER, args![sequence]).await?.get("n")?)
}

/// The next id of an API key or Slack webhook, which are listed together.
pub(crate) async fn next_key_id(tx: &mut Tx) -> Result<i32> {
    i32::try_from(next_number(tx, "api_key").await?).map_err(Error::internal)
}
