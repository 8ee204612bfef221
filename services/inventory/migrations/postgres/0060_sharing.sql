-- The user that made it; nothing for those of hosts and of the installation.
ALTER TABLE collections ADD COLUMN made_by BIGINT;
-- Of a group: 0 its readers' part only, 1 its conditions are an administrator's, 2 shared by an administrator.
ALTER TABLE collections ADD COLUMN sharing BIGINT NOT NULL DEFAULT 0;
