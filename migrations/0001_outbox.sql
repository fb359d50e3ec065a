-- walhook's own tables. Only this schema is ever written to.

-- Ids that carry their time: milliseconds since 1970 in the upper 43 bits, a counter in the lower 20. So a
-- range of time is a range of ids, and a table partitioned by id is partitioned by time.
create sequence walhook.time_id_counter minvalue 0 maxvalue 1048575 cycle cache 32;

create function walhook.new_time_id() returns bigint language sql volatile
begin atomic
  select (floor(extract(epoch from clock_timestamp()) * 1000)::bigint << 20) | nextval('walhook.time_id_counter');
end;

-- How far each slot's changes have come. Moved by compare-and-set in the transaction that stores the events,
-- so that of two processes which think that they capture only one can write.
create table walhook.positions (
  slot_name          text        primary key,
  system_identifier  text        not null,
  commit_lsn         pg_lsn      not null,
  last_event_id      bigint      not null default 0 check (last_event_id >= 0),
  updated_at         timestamptz not null default now()
);

-- One row for each entity that a committed transaction changed. Never updated; ended by dropping partitions.
create table walhook.events (
  id                    bigint      not null check (id > 0),
  commit_lsn            pg_lsn      not null,
  index_in_transaction  integer     not null check (index_in_transaction >= 0),
  entity_type           text        not null check (entity_type <> ''),
  entity_id             text        not null,
  action_type           text        not null check (action_type in ('new', 'update', 'delete')),
  committed_at          timestamptz not null,
  body                  text        not null,
  primary key (id)
) partition by range (id);

create table walhook.webhooks (
  id               integer     generated always as identity primary key,
  name             text        not null check (length(name) between 1 and 200),
  url              text        not null check (length(url) between 1 and 2048),
  is_active        boolean     not null default true,
  triggers         text[]      not null check (array_position(triggers, null) is null and coalesce(array_ndims(triggers), 0) = 1),
  -- An envelope: version, id of the key, then nonce, ciphertext and tag.
  secret           text        not null check (secret like 'v1:%'),
  -- Set by walhook, never by an admin, who has is_active.
  disabled_at      timestamptz,
  disabled_reason  text,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  check ((disabled_at is null) = (disabled_reason is null))
);

-- A lane is one entity's queue for one webhook, and is there only while it holds work. A worker that claims it
-- leases it: due_at is the moment from which anybody may claim it, be it new, waiting to retry or leased.
create table walhook.lanes (
  webhook_id   integer     not null,
  entity_type  text        not null,
  entity_id    text        not null,
  due_at       timestamptz not null default now(),
  lease        uuid,
  primary key (webhook_id, entity_type, entity_id)
) with (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 1, autovacuum_analyze_scale_factor = 0.2
);

create index lanes_by_due on walhook.lanes (webhook_id, due_at);

-- One event for one webhook, while it is not finished. The primary key is the order within the lane.
create table walhook.deliveries (
  webhook_id   integer  not null,
  entity_type  text     not null,
  entity_id    text     not null,
  event_id     bigint   not null,
  attempts     smallint not null default 0 check (attempts >= 0),
  primary key (webhook_id, entity_type, entity_id, event_id)
) with (
  fillfactor = 90,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 1, autovacuum_analyze_scale_factor = 0.2
);

-- A delivery that was tried as often as the schedule says. Kept to be shown and to be sent again by hand.
create table walhook.dead_deliveries (
  webhook_id   integer     not null,
  event_id     bigint      not null,
  entity_type  text        not null,
  entity_id    text        not null,
  attempts     smallint    not null check (attempts > 0),
  died_at      timestamptz not null default now(),
  primary key (webhook_id, event_id)
);

-- The log: one row for each HTTP request. It commits together with what the attempt changed.
create table walhook.attempts (
  webhook_id          integer          not null,
  id                  bigint           not null default walhook.new_time_id(),
  trigger             text             not null check (trigger in ('schedule', 'manual', 'test')),
  -- Null for a test, whose body is then kept here; else the body is the event's.
  event_id            bigint,
  request_body        text,
  message_id          text             not null check (position('.' in message_id) = 0),
  entity_type         text             not null,
  entity_id           text             not null,
  action_type         text             not null check (action_type in ('new', 'update', 'delete', 'test')),
  number              smallint         not null check (number > 0),
  url                 text             not null,
  request_headers     jsonb            not null,
  started_at          timestamptz      not null,
  duration_ms         double precision not null check (duration_ms >= 0),
  phases              jsonb,
  remote_address      text,
  status              smallint         check (status between 100 and 999),
  response_headers    jsonb,
  response_body       text,
  response_truncated  boolean          not null default false,
  outcome             text             not null
    check (outcome in ('delivered', 'refused', 'unreachable', 'blocked', 'cancelled')),
  error_class         text,
  error_message       text,
  next_attempt_at     timestamptz,
  primary key (webhook_id, id),
  check ((trigger = 'test') = (event_id is null)),
  check ((trigger = 'test') = (request_body is not null)),
  check ((trigger = 'test') = (action_type = 'test')),
  check ((outcome in ('delivered', 'cancelled')) = (error_class is null)),
  check ((error_class is null) = (error_message is null)),
  check ((outcome = 'delivered') <= coalesce(status between 200 and 299, false)),
  check ((outcome = 'refused') <= (status is not null)),
  check ((outcome = 'delivered') <= (next_attempt_at is null))
) partition by range (id);

-- Bearer tokens of the API. Only the SHA-256 of a token is kept.
create table walhook.tokens (
  id            integer     generated always as identity primary key,
  name          text        not null check (length(name) between 1 and 200),
  hash          bytea       not null unique check (octet_length(hash) = 32),
  -- The user account, in the source database, that the holder of the token is.
  user_id       text,
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz,
  revoked_at    timestamptz
);
