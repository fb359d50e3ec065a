-- A resync of one entity type: tells every row as it is, then deletes what receivers know and the table does not have any more.
-- Whoever captures the slot works it off page by page, while changes go on; events, cursor and position of a page commit together.
create table walhook.resyncs (
  id            integer      generated always as identity primary key,
  slot_name     text         collate "C" not null,
  entity_type   text         collate "C" not null check (entity_type <> ''),
  -- The gaps that end with it, once no other resync of theirs is open.
  gap_ids       integer[]    not null check (cardinality(gap_ids) > 0),
  -- waiting: not begun; running: its first page is stored; done; cancelled: the mapping has no such entity any more.
  state         text         not null default 'waiting' check (state in ('waiting', 'running', 'done', 'cancelled')),
  -- rows: tells the rows of the table; deletes: looks for the entities that are known and gone.
  phase         text         not null default 'rows' check (phase in ('rows', 'deletes')),
  -- Why it does not go on now, or was cancelled.
  reason        text,
  -- The last event before it began: what that and those before it have told is what receivers know.
  known_up_to   bigint       not null,
  -- The last key of the phase that is done, and the last one that the table had at the beginning.
  after_key     text,
  until_key     text,
  rows_done     bigint       not null default 0 check (rows_done >= 0),
  deletes_done  bigint       not null default 0 check (deletes_done >= 0),
  -- Postgres's own estimate of the table's rows; null where it has none.
  rows_estimate bigint       check (rows_estimate >= 0),
  created_at    timestamptz  not null default now(),
  ended_at      timestamptz,
  check ((state in ('done', 'cancelled')) = (ended_at is not null))
);

create unique index resyncs_open on walhook.resyncs (slot_name, entity_type) where state in ('waiting', 'running');

-- A gap has three states: open; to_lsn set: everything from there on is captured, and a resync tells what was lost;
-- resynced_at set: ended.
alter table walhook.gaps drop constraint if exists gaps_check;
alter table walhook.gaps add constraint gaps_check check (resynced_at is null or to_lsn is not null);
