-- What walhook needs in the application's database, and nothing more.
-- Replace app by its name, choose a password, and name your tables (those of the mapping file, if there is one).

-- Reads changes through a replication slot of its own.
create role walhook login replication password 'walhook';

-- Connects, and creates the schema walhook with its own tables.
grant connect, create on database app to walhook;

-- Reads users and companies: the data of tests, related rows, and large values that the WAL leaves out.
grant usage on schema public to walhook;
grant select on public.users, public.companies to walhook;

-- Lists the captured tables. Only their owner may create it.
create publication walhook for table public.users, public.companies with (publish_via_partition_root = true);

-- PostgreSQL 18 and newer: without this, an UPDATE fails if a replica identity contains a generated column.
do $$ begin
  if current_setting('server_version_num')::int >= 180000 then
    alter publication walhook set (publish_generated_columns = stored);
  end if;
end $$;

-- Recommended, PostgreSQL 16 and newer: Postgres then releases WAL that walhook has read every second, not every 15 seconds.
do $$ begin
  if current_setting('server_version_num')::int >= 160000 then
    grant execute on function pg_log_standby_snapshot() to walhook;
  end if;
end $$;
