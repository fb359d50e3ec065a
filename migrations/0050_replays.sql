-- Replays that walhook carries out by itself: decision 0084.
create table walhook.replays (
  id integer generated always as identity primary key,
  webhook_id integer not null references walhook.webhooks (id) on delete cascade,
  from_id bigint not null,
  to_id bigint not null,
  -- As user.new; null: those of the webhook.
  triggers text[] check (cardinality(triggers) > 0 and array_position(triggers, null) is null),
  -- Only events that were appended while the webhook had these versions: while it was off. Null: all of the range.
  from_version integer,
  to_version integer,
  -- How many events were counted before it began.
  counted integer not null check (counted >= 0),
  is_exact boolean not null,
  state text not null default 'running' check (state in ('running', 'done', 'cancelled', 'failed')),
  -- Events that are done with, and how many of them were queued.
  looked_at integer not null default 0 check (looked_at >= 0),
  queued integer not null default 0 check (queued >= 0 and queued <= looked_at),
  after_type text collate "C",
  after_id text collate "C",
  actor text not null,
  actor_tenant text collate "C",
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  -- Until then, one process works on it.
  taken_until timestamptz not null default now(),
  check (from_id < to_id),
  check (to_version is null or from_version is not null),
  check ((after_type is null) = (after_id is null)),
  check ((state = 'running') = (ended_at is null))
);
create index replays_by_webhook on walhook.replays (webhook_id, id);
create index replays_running on walhook.replays (taken_until) where state = 'running';
