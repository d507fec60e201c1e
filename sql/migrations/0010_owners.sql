-- depends: 0009_tallies

-- Functions that run with their owner's rights should not run with those of a superuser: everything becomes the migrator's.
DO $$
DECLARE
    owned RECORD;
    homes CONSTANT OID[] := ARRAY['ledger'::REGNAMESPACE::OID, 'treasury'::REGNAMESPACE::OID];
BEGIN
    ALTER SCHEMA ledger OWNER TO ballast_migrator;
    ALTER SCHEMA treasury OWNER TO ballast_migrator;
    FOR owned IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::REGCLASS::TEXT AS name
        FROM pg_catalog.pg_class c WHERE c.relnamespace = ANY (homes) AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'FUNCTION', p.oid::REGPROCEDURE::TEXT FROM pg_catalog.pg_proc p WHERE p.pronamespace = ANY (homes)
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO ballast_migrator', owned.kind, owned.name);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'schemas and tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
