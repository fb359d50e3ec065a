-- A delivery that left the queue without having been delivered, and why. What was delivered stands in the log.
create table walhook.ended_deliveries (
  webhook_id     integer     not null,
  event_id       bigint      not null,
  entity_type    text        not null,
  entity_id      text        not null,
  -- dead: tried as often as the schedule says; superseded: a newer event of the entity says all of it, and the
  -- webhook wants only the latest; cancelled: by an admin.
  state          text        not null check (state in ('dead', 'superseded', 'cancelled')),
  superseded_by  bigint,
  attempts       smallint    not null check (attempts >= 0),
  ended_at       timestamptz not null default now(),
  primary key (webhook_id, event_id),
  check ((state = 'superseded') = (superseded_by is not null)),
  check (state <> 'dead' or attempts > 0)
) partition by range (event_id);

create index ended_deliveries_by_state on walhook.ended_deliveries (state, webhook_id, event_id);

do $$
declare
  day record;
begin
  for day in
    select replace(c.relname, 'events_', 'ended_deliveries_') as name, pg_get_expr(c.relpartbound, c.oid) as bound
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'walhook.events'::regclass
  loop
    execute format('create table walhook.%I partition of walhook.ended_deliveries %s', day.name, day.bound);
  end loop;
end $$;

insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts, ended_at)
select webhook_id, event_id, entity_type, entity_id, 'dead', attempts, died_at from walhook.dead_deliveries;

drop table walhook.dead_deliveries;
