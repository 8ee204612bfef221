-- Authority over an organization, which no role of an account gives. The ADMINs of its first account held it by that role.
CREATE TABLE organization_administrators (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

INSERT INTO organization_administrators (organization_id, user_id, created_at)
    SELECT a.organization_id, m.user_id, m.created_at FROM accounts a
    JOIN memberships m ON m.account_id = a.account_id
    WHERE a.account_id = (SELECT min(b.account_id) FROM accounts b
        WHERE b.organization_id = a.organization_id AND b.vendor_account_id IS NULL)
    AND (m.scope_roles LIKE '%"API":"ADMIN"%' OR (m.scope_roles = '{}' AND m.role = 'ADMIN'));

-- Networks from which somebody has signed in: the failures of others do not count against them there.
CREATE TABLE login_places (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    place_digest TEXT COLLATE "C" NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, place_digest)
);
