-- The database that this outbox lives in. A copy of it somewhere else has the same rows, and would send what waits in them
-- once more; so walhook sends only where this is the place. See src/domain/home.ts.
create table walhook.home (
  is_only            boolean      primary key default true check (is_only),
  -- Null: the role may not read it.
  system_identifier  text         collate "C",
  database_oid       bigint       not null,
  database_name      text         collate "C" not null,
  since              timestamptz  not null default now()
);
