-- 1: every collection of the list was deleted, and the empty list restricts to none.
ALTER TABLE memberships ADD COLUMN is_emptied BIGINT NOT NULL DEFAULT 0;
ALTER TABLE custom_roles ADD COLUMN is_emptied BIGINT NOT NULL DEFAULT 0;
