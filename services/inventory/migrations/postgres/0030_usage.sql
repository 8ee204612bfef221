-- What each collection counts for in billing. Groups count nothing: they hold endpoints of others.
CREATE VIEW collection_usage AS
SELECT account_id, collection_id, 'ACTIVE_ENDPOINTS' AS feature,
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags NOT LIKE '%"key_name":"mcp-server"%'
        AND tags NOT LIKE '%"key_name":"gen-ai"%' THEN endpoint_count ELSE 0 END AS used
FROM collections
UNION ALL
SELECT account_id, collection_id, 'MCP_ASSET_COUNT',
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags LIKE '%"key_name":"mcp-server"%'
        AND tags NOT LIKE '%"key_name":"gen-ai"%' THEN endpoint_count ELSE 0 END
FROM collections
UNION ALL
SELECT account_id, collection_id, 'AI_ASSET_COUNT',
    CASE WHEN deleted_at IS NULL AND deactivated = 0 AND kind IS NULL AND tags LIKE '%"key_name":"gen-ai"%'
        AND tags NOT LIKE '%"key_name":"mcp-server"%' THEN endpoint_count ELSE 0 END
FROM collections
UNION ALL
SELECT account_id, collection_id, 'API_COLLECTIONS',
    CASE WHEN deleted_at IS NULL AND collection_id <> 0 THEN 1 ELSE 0 END
FROM collections;

-- Whoever changes a collection changes the counts, in the same transaction.
-- A later step that rebuilds `collections` on SQLite must make the triggers anew.
CREATE FUNCTION meter_collection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_WHEN = 'BEFORE' THEN
        INSERT INTO meter_deltas (account_id, feature, delta)
        SELECT account_id, feature, -used FROM collection_usage
        WHERE account_id = OLD.account_id AND collection_id = OLD.collection_id AND used <> 0;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
    INSERT INTO meter_deltas (account_id, feature, delta)
    SELECT account_id, feature, used FROM collection_usage
    WHERE account_id = NEW.account_id AND collection_id = NEW.collection_id AND used <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER collections_usage_insert AFTER INSERT ON collections FOR EACH ROW EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_before BEFORE UPDATE OF endpoint_count, deactivated, deleted_at, kind, tags ON collections
FOR EACH ROW
WHEN (OLD.endpoint_count <> NEW.endpoint_count OR OLD.deactivated <> NEW.deactivated OR OLD.tags <> NEW.tags
    OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR (OLD.kind IS NULL) <> (NEW.kind IS NULL))
EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_after AFTER UPDATE OF endpoint_count, deactivated, deleted_at, kind, tags ON collections
FOR EACH ROW
WHEN (OLD.endpoint_count <> NEW.endpoint_count OR OLD.deactivated <> NEW.deactivated OR OLD.tags <> NEW.tags
    OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) OR (OLD.kind IS NULL) <> (NEW.kind IS NULL))
EXECUTE FUNCTION meter_collection();

CREATE TRIGGER collections_usage_delete BEFORE DELETE ON collections FOR EACH ROW EXECUTE FUNCTION meter_collection();

INSERT INTO meter_deltas (account_id, feature, delta)
SELECT account_id, feature, cast(sum(used) AS bigint) FROM collection_usage GROUP BY account_id, feature HAVING sum(used) <> 0;
