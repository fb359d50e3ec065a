-- A wish to send every row that an entity's table holds, while changes go on. Whoever captures the slot works it off
-- page by page; events, cursor and position of a page commit together.
create table walhook.backfills (
  id               integer      generated always as identity primary key,
  slot_name        text         not null,
  entity_type      text         not null check (entity_type <> ''),
  -- Null: for every webhook that has the trigger.
  webhook_id       integer,
  action_type      text         not null check (action_type in ('new', 'update')),
  rows_per_second  integer      not null check (rows_per_second between 1 and 100000),
  -- waiting: not begun; running: its first page is stored; done; cancelled: by an admin; failed: it can't be done.
  state            text         not null default 'waiting'
    check (state in ('waiting', 'running', 'done', 'cancelled', 'failed')),
  -- Why it does not go on now, was cancelled or has failed.
  reason           text,
  -- The last key that is done, and the last one that there was at the beginning.
  after_key        text,
  until_key        text,
  rows_done        bigint       not null default 0 check (rows_done >= 0),
  -- Postgres's own estimate of the table's rows; null where it has none.
  rows_estimate    bigint       check (rows_estimate >= 0),
  created_at       timestamptz  not null default now(),
  started_at       timestamptz,
  ended_at         timestamptz,
  check ((state in ('done', 'cancelled', 'failed')) = (ended_at is not null)),
  check ((state <> 'waiting') or (started_at is null and after_key is null)),
  check ((state <> 'running') or (started_at is not null and after_key is not null)),
  check ((state not in ('cancelled', 'failed')) or reason is not null),
  check ((state <> 'done') or reason is null),
  check ((after_key is null) or until_key is not null)
);

-- One at a time for the same rows and the same receivers.
create unique index backfills_open on walhook.backfills (slot_name, entity_type, coalesce(webhook_id, 0))
where state in ('waiting', 'running');
