-- Each open account is one of its organisation's; whoever opens or closes one changes the count, in the same transaction.
CREATE TRIGGER accounts_usage_insert AFTER INSERT ON accounts WHEN NEW.state = 'ACTIVE' BEGIN
    INSERT INTO meter_deltas (account_id, feature, delta) VALUES (NEW.account_id, 'ACTIVE_ACCOUNTS', 1);
END;

CREATE TRIGGER accounts_usage_update AFTER UPDATE OF state ON accounts
WHEN (OLD.state = 'ACTIVE') <> (NEW.state = 'ACTIVE') BEGIN
    INSERT INTO meter_deltas (account_id, feature, delta)
    VALUES (NEW.account_id, 'ACTIVE_ACCOUNTS', CASE WHEN NEW.state = 'ACTIVE' THEN 1 ELSE -1 END);
END;

CREATE TRIGGER accounts_usage_delete AFTER DELETE ON accounts WHEN OLD.state = 'ACTIVE' BEGIN
    INSERT INTO meter_deltas (account_id, feature, delta) VALUES (OLD.account_id, 'ACTIVE_ACCOUNTS', -1);
END;

INSERT INTO meter_deltas (account_id, feature, delta)
SELECT account_id, 'ACTIVE_ACCOUNTS', 1 FROM accounts WHERE state = 'ACTIVE';
