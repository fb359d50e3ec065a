-- One log, and a place in it for every share of the entities: decision 0039.
-- A row in `deliveries` is only what could not be sent at once; what waits in the log needs none.

-- Grows with each change of a webhook that matters to delivery. An append notes it in its events, so that whoever
-- judges an event knows which webhooks wanted it.
create table walhook.webhooks_version (
  is_only boolean primary key default true check (is_only),
  version integer not null
);
insert into walhook.webhooks_version (version) values (0);

alter table walhook.events
  add column share smallint,
  add column webhooks_version integer,
  add column only_webhook_id integer;

alter table walhook.webhooks add column changed_in_version integer not null default 0;
create index webhooks_by_version on walhook.webhooks (changed_in_version);

-- Null: of a time before versions. The state that holds at the upgrade has version 0.
alter table walhook.webhook_states add column version integer;
update walhook.webhook_states s set version = 0
where since = (select max(since) from walhook.webhook_states o where o.webhook_id = s.webhook_id);
create unique index webhook_states_by_version on walhook.webhook_states (webhook_id, version) where version is not null;

-- Processes that deliver. Nothing that one has sent is under way after `alive_until`; of what keeps up it has sent
-- nothing newer than `may_send_up_to`.
create table walhook.holders (
  id integer generated always as identity primary key,
  beat bigint not null default 0,
  alive_until timestamptz not null,
  may_send_up_to bigint not null default 0
) with (fillfactor = 50);

-- Who serves which part of the entities, and up to where everything that its webhooks want is delivered or set aside.
create table walhook.shares (
  share smallint primary key,
  holder_id integer references walhook.holders (id) on delete set null,
  settled_up_to bigint not null,
  -- Of a holder that is gone, events up to here may be under way until then: also those that were appended afterwards.
  wait_up_to bigint not null default 0,
  wait_until timestamptz
) with (fillfactor = 50);
insert into walhook.shares (share, settled_up_to)
select n, coalesce((select max(last_event_id) from walhook.positions), 0) from generate_series(0, 11) n;

-- Webhooks that are behind, each with a place of its own.
create table walhook.streams (
  webhook_id integer not null,
  share smallint not null,
  settled_up_to bigint not null,
  may_send_up_to bigint not null,
  primary key (webhook_id, share),
  check (settled_up_to <= may_send_up_to)
) with (fillfactor = 70);

-- Events that a webhook is not sent, since an admin cancelled what waited: of all entities or of one.
create table walhook.skips (
  id integer generated always as identity primary key,
  webhook_id integer not null,
  entity_type text collate "C",
  entity_id text collate "C",
  after_id bigint not null,
  up_to bigint not null,
  at timestamptz not null default now(),
  check ((entity_type is null) = (entity_id is null)),
  check (after_id < up_to)
);
create index skips_by_webhook on walhook.skips (webhook_id);

-- A batch is sent again as it was composed, until it has arrived or is divided. Its events are rows of deliveries.
create table walhook.batches (
  webhook_id integer not null,
  id bigint not null,
  share smallint not null,
  due_at timestamptz not null,
  taken_by integer,
  primary key (webhook_id, id)
);
create index batches_by_due on walhook.batches (share, webhook_id, due_at) where taken_by is null;

-- Of what is superseded: it, or what it superseded, was a `new`. Whoever supersedes it is sent as `new`.
alter table walhook.ended_deliveries add column as_new boolean not null default false;

-- due_at: infinity for what waits behind an older one of its entity, or in a batch. taken_by: the holder that is sending it.
alter table walhook.deliveries
  drop column asked_during,
  add column share smallint,
  add column due_at timestamptz,
  add column taken_by integer;
-- (what waited becomes rows that are set aside: below)
create index deliveries_by_due on walhook.deliveries (webhook_id, share, due_at) where taken_by is null and due_at < 'infinity';
create index deliveries_taken on walhook.deliveries (taken_by) where taken_by is not null;
drop table walhook.lanes;
