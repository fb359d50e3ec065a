-- One log, and a place in it for every share of the entities: decision 0039.
-- A row in `deliveries` is only what could not be sent at once; what waits in the log needs none.

-- In the order in which the statements of the version before take them.
lock table walhook.positions, walhook.webhooks, walhook.webhook_states, walhook.lanes, walhook.deliveries,
  walhook.ended_deliveries, walhook.events in access exclusive mode;

-- Grows with each change of a webhook that matters to delivery. An append notes it in its events, so that whoever
-- judges an event knows which webhooks wanted it.
create table walhook.webhooks_version (
  is_only boolean primary key default true check (is_only),
  version integer not null
);
insert into walhook.webhooks_version (version) values (0);

-- The version of a transaction that changes webhooks: the next one, at its first change, and the same for all others. Whoever changes
-- several webhooks locks all of them first, since the counter stays locked until the transaction ends.
create function walhook.next_webhooks_version() returns integer language plpgsql as $$
declare
  bumped integer;
begin
  update walhook.webhooks_version set version = version + 1
  where xmin <> pg_current_xact_id()::xid returning version into bumped;
  if not found then
    return (select version from walhook.webhooks_version);
  end if;
  perform pg_notify('walhook_outbox', 'webhooks');
  return bumped;
end $$;

alter table walhook.events
  add column share smallint,
  add column webhooks_version integer,
  add column only_webhook_id integer;

-- The version that the newest event was appended under: no event that is still to come has an older one.
alter table walhook.positions add column webhooks_version integer not null default 0;

-- One process appends to the log: ids become visible in their order, and whoever has seen an id sees all below it, from then on.
-- Where two slots filled this outbox, the one that was stored last goes on; the other one's walhook says that this is another's outbox.
delete from walhook.positions
where slot_name <> (select slot_name from walhook.positions order by updated_at desc, slot_name limit 1);
create unique index positions_only_one on walhook.positions ((true));

-- All entities are divided into twelve shares. `shareOf` in domain/share.ts is the same function.
create function walhook.share_of(entity_type text, entity_id text) returns smallint
language plpgsql immutable strict parallel safe as $$
declare
  bytes bytea := convert_to(entity_type, 'UTF8') || '\x00'::bytea || convert_to(entity_id, 'UTF8');
  hash bigint := 2166136261;
begin
  for i in 0 .. length(bytes) - 1 loop
    hash := ((hash # get_byte(bytes, i)) * 16777619) & 4294967295;
  end loop;
  hash := hash # (hash >> 16);
  hash := (hash * 73244475) & 4294967295;
  hash := hash # (hash >> 16);
  return hash % 12;
end $$;

alter table walhook.webhooks add column changed_in_version integer not null default 0;
create index webhooks_by_version on walhook.webhooks (changed_in_version);

-- Null: of a time before versions. The state that holds at the upgrade has version 0.
alter table walhook.webhook_states add column version integer;
update walhook.webhook_states s set version = 0
where since = (select max(since) from walhook.webhook_states o where o.webhook_id = s.webhook_id);
create unique index webhook_states_by_version on walhook.webhook_states (webhook_id, version) where version is not null;

-- Everything that delivery reads of a webhook, and nothing that it writes at every answer (failing_since and its kin).
create function walhook.note_change_of_webhook() returns trigger language plpgsql as $$
begin
  new.changed_in_version := walhook.next_webhooks_version();
  return new;
end $$;
create trigger note_new_webhook before insert on walhook.webhooks
  for each row execute function walhook.note_change_of_webhook();
create trigger note_changed_webhook before update on walhook.webhooks
  for each row when (
    (old.url, old.secret, old.previous_secret, old.previous_secret_expires_at, old.headers, old.client_identity, old.mode,
     old.batch_max_events, old.batch_max_wait_ms, old.previous, old.is_active, old.disabled_at, old.disabled_reason,
     old.triggers, old.update_fields, old.held_until)
    is distinct from
    (new.url, new.secret, new.previous_secret, new.previous_secret_expires_at, new.headers, new.client_identity, new.mode,
     new.batch_max_events, new.batch_max_wait_ms, new.previous, new.is_active, new.disabled_at, new.disabled_reason,
     new.triggers, new.update_fields, new.held_until))
  execute function walhook.note_change_of_webhook();

create function walhook.note_deleted_webhook() returns trigger language plpgsql as $$
begin
  perform walhook.next_webhooks_version();
  return null;
end $$;
create trigger note_deleted_webhook after delete on walhook.webhooks
  for each row execute function walhook.note_deleted_webhook();

-- A transaction that changes a webhook twice leaves one state: nobody sees the one in between.
create or replace function walhook.note_webhook_state() returns trigger language plpgsql as $$
begin
  delete from walhook.webhook_states where webhook_id = new.id and version = new.changed_in_version;
  insert into walhook.webhook_states (webhook_id, version, is_active, disabled_reason, triggers, update_fields)
  values (new.id, new.changed_in_version, new.is_active, new.disabled_reason, new.triggers, new.update_fields)
  on conflict (webhook_id, since) do update
    set version = excluded.version, is_active = excluded.is_active, disabled_reason = excluded.disabled_reason,
        triggers = excluded.triggers, update_fields = excluded.update_fields;
  return null;
end $$;

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
  -- Until then requests of a holder that is gone may be under way: nothing is made due earlier.
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
create index skips_by_webhook on walhook.skips (webhook_id, after_id);

create function walhook.note_skip() returns trigger language plpgsql as $$
begin
  update walhook.webhooks set changed_in_version = walhook.next_webhooks_version() where id = new.webhook_id;
  return null;
end $$;
create trigger note_skip after insert on walhook.skips for each row execute function walhook.note_skip();

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

-- A process of the version before, which knows nothing of places in the log, drops no day of it.
alter table walhook.retention_clock rename column at to reached_at;

-- What waited is set aside: the oldest of each entity until its lane was due, or until the lease of its lane has ended, since it may be
-- under way until then. Batches stay as they were composed.
--
-- A process of the version before knows none of this, and its every statement that appends, claims, settles, or does something by hand
-- names walhook.lanes: once that is gone, it fails as a whole and changes nothing. What such a process has sent and can't settle is sent
-- again, after its lease.
update walhook.deliveries d
set share = walhook.share_of(d.entity_type, d.entity_id),
    due_at = case when d.batch_id is null and d.event_id = first.event_id then first.due_at else 'infinity' end
from (
  select d.webhook_id, d.entity_type, d.entity_id, min(d.event_id) as event_id,
         greatest(min(l.due_at), min(l.leased_until), '2000-01-01') as due_at
  from walhook.deliveries d left join walhook.lanes l using (webhook_id, entity_type, entity_id)
  group by d.webhook_id, d.entity_type, d.entity_id
) first
where first.webhook_id = d.webhook_id and first.entity_type = d.entity_type and first.entity_id = d.entity_id;

insert into walhook.batches (webhook_id, id, share, due_at)
select d.webhook_id, d.batch_id, (array_agg(d.share order by d.event_id))[1],
       greatest(max(l.due_at), max(l.leased_until), '2000-01-01')
from walhook.deliveries d left join walhook.lanes l using (webhook_id, entity_type, entity_id)
where d.batch_id is not null
group by d.webhook_id, d.batch_id;

drop table walhook.lanes;
alter table walhook.deliveries alter column share set not null, alter column due_at set not null;

create index deliveries_by_due on walhook.deliveries (webhook_id, share, due_at) where taken_by is null and due_at < 'infinity';
create index deliveries_taken on walhook.deliveries (taken_by) where taken_by is not null;
