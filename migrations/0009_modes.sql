-- How a webhook is told: every event or only an entity's latest; one event in a request or several.
alter table walhook.webhooks
  add column mode               text     not null default 'every' check (mode in ('every', 'latest')),
  add column batch_max_events   integer  check (batch_max_events between 2 and 1000),
  -- How long an event may wait for company, from its append.
  add column batch_max_wait_ms  integer  check (batch_max_wait_ms between 0 and 60000),
  add check ((batch_max_events is null) = (batch_max_wait_ms is null));

alter table walhook.deliveries
  -- Sent as `new`, although its event is an `update`: it took the place of a `new` that the receiver has not had.
  add column as_new    boolean  not null default false,
  -- The deliveries that have gone into one request together, and go together again while it fails.
  add column batch_id  bigint;

create index deliveries_by_batch on walhook.deliveries (webhook_id, batch_id) where batch_id is not null;

-- A request with a batch has its events here, in the order of its body, and none in event_id.
alter table walhook.attempts
  add column event_ids bigint[] check (array_position(event_ids, null) is null and cardinality(event_ids) > 0),
  alter column entity_type drop not null,
  alter column entity_id drop not null,
  alter column action_type drop not null,
  add check (num_nonnulls(entity_type, entity_id, action_type) = case when event_ids is null then 3 else 0 end),
  add check (num_nonnulls(event_id, event_ids) = case when trigger = 'test' then 0 else 1 end),
  -- Of a batch, the body is kept only where it is not what its events' bodies make.
  add check (case when trigger = 'test' then request_body is not null else request_body is null or event_ids is not null end);

-- The same, of a test's event and body, was said for requests with one event.
do $$
declare
  name text;
begin
  for name in
    select conname from pg_constraint
    where conrelid = 'walhook.attempts'::regclass and pg_get_constraintdef(oid) in (
      'CHECK (((trigger = ''test''::text) = (event_id IS NULL)))',
      'CHECK (((trigger = ''test''::text) = (request_body IS NOT NULL)))')
  loop
    execute format('alter table walhook.attempts drop constraint %I', name);
  end loop;
end $$;

create index attempts_by_event_in_batch on walhook.attempts using gin (event_ids) where event_ids is not null;

-- Where a copy of the log is kept, it has the same columns.
alter table if exists walhook.kept_attempts
  add column event_ids bigint[],
  alter column entity_type drop not null,
  alter column entity_id drop not null,
  alter column action_type drop not null;
