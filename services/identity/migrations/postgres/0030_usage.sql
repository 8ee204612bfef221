-- Each open account is one of its organisation's; whoever opens or closes one changes the count, in the same transaction.
CREATE FUNCTION meter_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'ACTIVE' AND (TG_OP = 'DELETE' OR NEW.state <> 'ACTIVE') THEN
        INSERT INTO meter_deltas (account_id, feature, delta) VALUES (OLD.account_id, 'ACTIVE_ACCOUNTS', -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'ACTIVE' AND (TG_OP = 'INSERT' OR OLD.state <> 'ACTIVE') THEN
        INSERT INTO meter_deltas (account_id, feature, delta) VALUES (NEW.account_id, 'ACTIVE_ACCOUNTS', 1);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_usage AFTER INSERT OR UPDATE OF state OR DELETE ON accounts
FOR EACH ROW EXECUTE FUNCTION meter_account();

INSERT INTO meter_deltas (account_id, feature, delta)
SELECT account_id, 'ACTIVE_ACCOUNTS', 1 FROM accounts WHERE state = 'ACTIVE';
