-- depends:

-- Who may do what. Five roles that nobody logs in as: a login is a member of those that it needs, and a connection takes
-- one of them when it starts. Roles belong to the server and not to the database, so they may be there already.
--
--   ballast_migrator  owns schemas, tables and functions          ballast_executor  orders, transfers, decisions, quarantine
--   ballast_writer    posts: batches and all that is in them      ballast_api       accounts, limits, closed periods
--   ballast_reader    reads everything
--
-- Every file after this one grants what it creates. What only the ledger's triggers write (seals, resolutions, sums by date,
-- use of velocity limits) is granted to nobody: those functions run with the rights of their owner, so it cannot be forged.

DO $$
DECLARE
    role_name TEXT;
    roles CONSTANT TEXT[] := ARRAY['ballast_migrator', 'ballast_writer', 'ballast_executor', 'ballast_api', 'ballast_reader'];
BEGIN
    FOREACH role_name IN ARRAY roles LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = role_name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this server was migrated at the same moment
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
                    'user %I may not create roles: let a superuser run "%s GRANT %s TO %I;"', current_user,
                    (SELECT string_agg(format('CREATE ROLE %I NOLOGIN;', name), ' ' ORDER BY name) FROM unnest(roles) name
                        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = name)),
                    array_to_string(roles, ', '), current_user);
        END;
    END LOOP;

    -- Who migrates hands over what it creates, as a member of the owner and of those that it grants to.
    FOREACH role_name IN ARRAY roles LOOP
        CONTINUE WHEN current_setting('is_superuser') = 'on';
        BEGIN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
            NULL; -- the owner stays who it is; a connection that lacks a role says what to grant
        END;
    END LOOP;
END $$;

-- Whoever starts looks whether migrations are missing; the tool's own tables tell.
DO $$
DECLARE
    known TEXT;
BEGIN
    FOREACH known IN ARRAY ARRAY['_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock'] LOOP
        CONTINUE WHEN to_regclass(known) IS NULL;
        EXECUTE format('GRANT ALL ON %I TO ballast_migrator', known);
        EXECUTE format('GRANT SELECT ON %I TO ballast_writer, ballast_executor, ballast_api, ballast_reader', known);
    END LOOP;
END $$;

-- The ledger is one schema, which all may look into; all tables and views of it are read by three of them.
CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA ledger TO ballast_writer, ballast_executor, ballast_api, ballast_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ledger GRANT SELECT ON TABLES TO ballast_writer, ballast_api, ballast_reader;
