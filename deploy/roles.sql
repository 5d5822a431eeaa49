-- The two roles of compose.yaml: one owns the tables, the service works as the other. PostgreSQL's
-- image runs this once, in a new volume. By hand it also hands over what an older volume holds:
--   docker compose exec -T timescaledb psql --username=postgres os_credits < deploy/roles.sql
\getenv owner_password OS_CREDITS_OWNER_PASSWORD
\getenv password OS_CREDITS_PASSWORD
CREATE ROLE os_credits_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE os_credits LOGIN PASSWORD :'password';
ALTER DATABASE os_credits OWNER TO os_credits_owner;
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT 'TABLE' AS kind, oid::regclass::text AS name, 'pg_class'::regclass AS catalog, oid
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION ALL
        SELECT 'FUNCTION', oid::regprocedure::text, 'pg_proc'::regclass, oid
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    LOOP
        IF NOT EXISTS (SELECT FROM pg_depend WHERE classid = found.catalog
                       AND objid = found.oid AND deptype = 'e') THEN
            EXECUTE format('ALTER %s %s OWNER TO os_credits_owner', found.kind, found.name);
        END IF;
    END LOOP;
END $$;
