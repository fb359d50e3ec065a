-- Up to here the slot may have been confirmed: beyond commit_lsn where the WAL after it holds nothing to store.
-- A slot that stands further was moved by somebody else. Null: not known yet.
alter table walhook.positions add column confirmed_lsn pg_lsn;

-- Changes that could not be captured, as a range of the write-ahead log. Open until a resync or a person ends it.
create table walhook.gaps (
  id           integer     generated always as identity primary key,
  slot_name    text        not null,
  reason       text        not null check (reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'publication missing', 'other cluster', 'other history')),
  detail       text        not null,
  -- Everything up to here is stored; and everything from to_lsn on, once capture goes on.
  from_lsn     pg_lsn      not null,
  to_lsn       pg_lsn,
  found_at     timestamptz not null default now(),
  resynced_at  timestamptz,
  check ((to_lsn is null) = (resynced_at is null))
);

create unique index gaps_open on walhook.gaps (slot_name) where resynced_at is null;

-- Changes of which no event could be made. They are counted in their transaction like events.
create table walhook.parked_changes (
  commit_lsn            pg_lsn      not null,
  index_in_transaction  integer     not null check (index_in_transaction >= 0),
  entity_type           text        not null,
  -- The key as far as it is known, cut to what can be shown.
  entity_id             text,
  action_type           text        not null check (action_type in ('new', 'update', 'delete')),
  reason                text        not null,
  parked_at             timestamptz not null default now(),
  primary key (commit_lsn, index_in_transaction)
);
