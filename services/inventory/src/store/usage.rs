/// What an account uses by feature, from the tables, for a recount.
pub const COUNT_USAGE: &str =
    "SELECT feature, cast(sum(used) as bigint) AS used FROM collection_usage WHERE account_id = $1 GROUP BY feature";
