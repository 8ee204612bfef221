-- Two users of the database: one makes tables and is known to the Job `migrate` alone, one reads and writes rows and is what
-- the services connect as. Run as the owner of the database, before the first migration:
--
--   psql "$ADMIN_URL" -v migrate_password=… -v serve_password=… -f deploy/kubernetes/database-users.sql
CREATE USER portolan_migrate PASSWORD :'migrate_password';
CREATE USER portolan_serve PASSWORD :'serve_password';
SELECT format('GRANT CREATE, CONNECT ON DATABASE %I TO portolan_migrate', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO portolan_serve', current_database()) \gexec
ALTER DEFAULT PRIVILEGES FOR USER portolan_migrate GRANT USAGE ON SCHEMAS TO portolan_serve;
ALTER DEFAULT PRIVILEGES FOR USER portolan_migrate GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO portolan_serve;
ALTER DEFAULT PRIVILEGES FOR USER portolan_migrate GRANT USAGE, SELECT ON SEQUENCES TO portolan_serve;
