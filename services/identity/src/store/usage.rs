/// What an account uses by feature, from the tables, for a recount.
pub(crate) const COUNT_USAGE: &str = "SELECT 'ACTIVE_ACCOUNTS' AS feature, count(*) AS used FROM accounts
    WHERE account_id = $1 AND state = 'ACTIVE'";
