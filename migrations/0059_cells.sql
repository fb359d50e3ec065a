-- Cells: outboxes that the log is copied into, each for a set of webhooks (decision 0092). These tables are of use in the main outbox
-- only.
create table walhook.cells (
  -- Ids that a cell gives begin in a range of its own, by its number.
  number       integer     generated always as identity,
  name         text        collate "C" not null,
  schema       text        collate "C" not null,
  -- Sealed; null: the main outbox's database.
  url          text,
  -- The cell has the log up to this event. Written late, never early.
  copied_up_to bigint      not null,
  added_at     timestamptz not null default now(),
  constraint cells_pkey primary key (name),
  constraint cells_number unique (number),
  constraint cells_name check (name ~ '^[a-z0-9][a-z0-9_-]{0,39}$' and name <> 'main'),
  constraint cells_url check (url like 'v1:%')
);

-- Where the webhooks are that are in no row: in main.
create table walhook.placements (
  webhook_id integer not null,
  cell       text    collate "C" not null,
  -- Null: it stays there.
  moving_to  text    collate "C",
  constraint placements_pkey primary key (webhook_id),
  constraint placements_moving check (moving_to <> cell)
);
