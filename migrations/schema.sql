-- The schema that the migrations make, for reading. Written by: npm run schema

create sequence walhook.time_id_counter minvalue 0 maxvalue 1048575 cache 32 cycle;

CREATE OR REPLACE FUNCTION walhook.is_one_of(wanted jsonb, value jsonb)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select case jsonb_typeof(value)
    when 'object' then false
    when 'array' then exists (
      select from jsonb_array_elements(value) item where jsonb_typeof(item) not in ('object', 'array') and wanted @> item)
    else wanted @> value
  end
$function$
;

CREATE OR REPLACE FUNCTION walhook.json_fields(doc text, part text)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
begin
  return case when part is null then doc::jsonb else doc::jsonb -> part end;
exception when others then
  if part is not null then
    doc := (select value from walhook.json_parts(doc) where name = part limit 1);
  end if;
  return (select jsonb_object_agg(name, walhook.parsed_json(value)) from walhook.json_parts(doc));
end $function$
;

CREATE OR REPLACE FUNCTION walhook.json_parts(doc text)
 RETURNS TABLE(name text, value text)
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
declare
  token text;
  depth integer := 0;
  is_object boolean;
  part_name text;
  part text := '';
begin
  for token in
    select m[1] from regexp_matches(doc, '("(?:[^"\\]|\\.)*"|[^][{}",:\s]+|[][{},:])', 'g') m
  loop
    if depth = 0 then
      is_object := token = '{';
      depth := 1;
    elsif depth = 1 and token in (',', '}', ']') then
      if part <> '' then
        name := part_name;
        value := part;
        return next;
      end if;
      part := '';
      part_name := null;
      if token <> ',' then
        return;
      end if;
    elsif depth = 1 and is_object and part_name is null then
      begin
        part_name := token::jsonb #>> '{}';
      exception when others then
        part_name := token;
      end;
    elsif depth = 1 and is_object and part = '' and token = ':' then
      null;
    else
      part := part || token;
      if token in ('{', '[') then
        depth := depth + 1;
      elsif token in ('}', ']') then
        depth := depth - 1;
      end if;
    end if;
  end loop;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.new_time_id()
 RETURNS bigint
 LANGUAGE sql
BEGIN ATOMIC
 SELECT (((floor((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric)))::bigint << 20) | (nextval('walhook.time_id_counter'::regclass) & (1048575)::bigint));
END
;

CREATE OR REPLACE FUNCTION walhook.next_webhooks_version()
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
declare
  bumped integer;
begin
  update walhook.webhooks_version set version = version + 1
  where xmin <> pg_current_xact_id()::xid returning version into bumped;
  if not found then
    return (select version from walhook.webhooks_version);
  end if;
  perform walhook.notify_webhooks();
  return bumped;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.note_change_of_webhook()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  new.changed_in_version := walhook.next_webhooks_version();
  return new;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.note_deleted_webhook()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform walhook.next_webhooks_version();
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.note_skip()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  bumped integer := walhook.next_webhooks_version();
begin
  update walhook.webhooks set changed_in_version = bumped where id = new.webhook_id;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.note_webhook_state()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  delete from walhook.webhook_states where webhook_id = new.id and version = new.changed_in_version;
  insert into walhook.webhook_states
    (webhook_id, version, is_active, disabled_reason, triggers, update_fields, filter, filter_entering, filter_leaving, tenant)
  values (new.id, new.changed_in_version, new.is_active, new.disabled_reason, new.triggers, new.update_fields,
          new.filter, new.filter_entering, new.filter_leaving, new.tenant)
  on conflict (webhook_id, since) do update
    set version = excluded.version, is_active = excluded.is_active, disabled_reason = excluded.disabled_reason,
        triggers = excluded.triggers, update_fields = excluded.update_fields, filter = excluded.filter,
        filter_entering = excluded.filter_entering, filter_leaving = excluded.filter_leaving, tenant = excluded.tenant;
  return null;
end $function$
;

CREATE OR REPLACE FUNCTION walhook.notify_webhooks()
 RETURNS void
 LANGUAGE sql
AS $function$
  select pg_notify('walhook_outbox', 'webhooks')
$function$
;

CREATE OR REPLACE FUNCTION walhook.parsed_json(doc text)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
begin
  return doc::jsonb;
exception when others then
  if doc like '[%' then
    return (select coalesce(jsonb_agg(case when value ~ '^[\[{]' then '{}' else walhook.parsed_json(value) end), '[]')
            from walhook.json_parts(doc));
  end if;
  return '{}';
end $function$
;

CREATE OR REPLACE FUNCTION walhook.share_of(entity_type text, entity_id text)
 RETURNS smallint
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
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
end $function$
;

CREATE OR REPLACE FUNCTION walhook.through_filter(filter jsonb, entering text, leaving text, has_wanted_field boolean, entity_type text, action_type text, body text, previous text, changed text[], omitted text[])
 RETURNS text
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE
AS $function$
declare
  after jsonb;
  before jsonb;
  field record;
  now_value jsonb;
  is_unknown boolean;
  matches boolean;
  does_match boolean := true;
  did_match boolean := true;
begin
  if action_type = 'delete' then
    -- Without `last` nothing is known of what the entity was.
    if strpos(body, '"action_type":"delete","last":') = 0 then
      return 'delete';
    end if;
    after := coalesce(walhook.json_fields(body, 'last'), '{}');
    for field in
      select substr(key, length(entity_type) + 2) as name,
             case jsonb_typeof(value) when 'array' then value else jsonb_build_array(value) end as wanted
      from jsonb_each(filter) where split_part(key, '.', 1) = entity_type
    loop
      now_value := after -> field.name;
      is_unknown := now_value is null and coalesce(field.name = any (omitted), false);
      if not (is_unknown or coalesce(walhook.is_one_of(field.wanted, now_value), false)) then
        return null;
      end if;
    end loop;
    return 'delete';
  end if;
  after := coalesce(walhook.json_fields(body, 'result'), '{}');
  before := coalesce(walhook.json_fields(previous, null), '{}');
  for field in
    select substr(key, length(entity_type) + 2) as name,
           case jsonb_typeof(value) when 'array' then value else jsonb_build_array(value) end as wanted
    from jsonb_each(filter) where split_part(key, '.', 1) = entity_type
  loop
    now_value := after -> field.name;
    is_unknown := now_value is null and coalesce(field.name = any (omitted), false);
    matches := is_unknown or coalesce(walhook.is_one_of(field.wanted, now_value), false);
    does_match := does_match and matches;
    if before ? field.name then
      if not walhook.is_one_of(field.wanted, before -> field.name) then
        did_match := false;
      end if;
    elsif now_value is null and not is_unknown then
      did_match := false;
    elsif changed is not null and not field.name = any (changed) and not is_unknown then
      if not matches then
        did_match := false;
      end if;
    elsif did_match then
      did_match := null;
    end if;
  end loop;
  if action_type = 'new' then
    return case when does_match then 'new' end;
  elsif does_match then
    return case when not did_match then entering when did_match is null or has_wanted_field then 'update' end;
  elsif did_match then
    return nullif(leaving, 'nothing');
  end if;
  return case when did_match is null and leaving = 'delete' then 'delete' end;
end $function$
;

create table walhook.alert_mails (
  id integer generated always as identity not null,
  incident_id integer not null,
  alert text collate "C" not null,
  recipient text collate "C" not null,
  attempts integer default 0 not null,
  due_at timestamp with time zone default now(),
  sent_at timestamp with time zone,
  error text,
  tenant text collate "C",
  taken_at timestamp with time zone,
  PRIMARY KEY (id),
  UNIQUE (incident_id, alert, recipient),
  FOREIGN KEY (incident_id) REFERENCES walhook.incidents(id) ON DELETE CASCADE,
  CHECK (((sent_at IS NULL) OR (due_at IS NULL))),
  CHECK ((attempts >= 0))
);

create table walhook.attempt_heads (
  webhook_id integer not null,
  id bigint not null,
  url text not null,
  request_headers jsonb not null,
  response_headers jsonb,
  used_until timestamp with time zone not null,
  PRIMARY KEY (webhook_id, id),
  CHECK ((jsonb_typeof(request_headers) = 'object'::text)),
  CHECK ((jsonb_typeof(response_headers) = 'object'::text))
);

create table walhook.attempts (
  webhook_id integer not null,
  id bigint default walhook.new_time_id() not null,
  trigger text not null,
  event_id bigint,
  request_body text,
  message_id text,
  entity_type text collate "C",
  entity_id text collate "C",
  action_type text,
  number smallint not null,
  url text,
  request_headers jsonb,
  started_at timestamp with time zone not null,
  duration_ms double precision not null,
  phases jsonb,
  remote_address text,
  status smallint,
  response_headers jsonb,
  response_body text,
  response_truncated boolean default false not null,
  outcome text not null,
  error_class text,
  error_message text,
  next_attempt_at timestamp with time zone,
  with_previous boolean default false not null,
  event_ids bigint[],
  has_bodies boolean default true not null,
  head_id bigint,
  dns_ms real,
  connect_ms real,
  tls_ms real,
  first_byte_ms real,
  body_ms real,
  own_headers text,
  PRIMARY KEY (webhook_id, id),
  CHECK (
CASE
    WHEN (trigger = 'test'::text) THEN (request_body IS NOT NULL)
    ELSE ((request_body IS NULL) OR (event_ids IS NOT NULL))
END),
  CHECK (((array_position(event_ids, NULL::bigint) IS NULL) AND (cardinality(event_ids) > 0))),
  CHECK (((error_class IS NULL) = (error_message IS NULL))),
  CHECK (((message_id IS NOT NULL) OR (event_id IS NOT NULL))) NOT VALID,
  CHECK (((num_nulls(head_id, url) = 1) AND (num_nulls(head_id, request_headers) = 1))) NOT VALID,
  CHECK (((outcome = 'delivered'::text) <= (next_attempt_at IS NULL))),
  CHECK (((outcome = 'delivered'::text) <= COALESCE(((status >= 200) AND (status <= 299)), false))),
  CHECK (((outcome = 'refused'::text) <= (status IS NOT NULL))),
  CHECK (((outcome = ANY (ARRAY['delivered'::text, 'cancelled'::text])) = (error_class IS NULL))),
  CHECK (((status >= 100) AND (status <= 999))),
  CHECK (((trigger = 'test'::text) = (action_type = 'test'::text))),
  CHECK ((POSITION(('.'::text) IN (message_id)) = 0)),
  CHECK ((action_type = ANY (ARRAY['new'::text, 'update'::text, 'delete'::text, 'test'::text, 'failing'::text, 'recovered'::text, 'disabled'::text, 'dead'::text, 'lost'::text, 'blocked'::text, 'lagging'::text]))) NOT VALID,
  CHECK ((duration_ms >= (0)::double precision)),
  CHECK ((num_nonnulls(entity_type, entity_id, action_type) =
CASE
    WHEN (event_ids IS NULL) THEN 3
    ELSE 0
END)),
  CHECK ((num_nonnulls(event_id, event_ids) =
CASE
    WHEN (trigger = 'test'::text) THEN 0
    ELSE 1
END)),
  CHECK ((number > 0)),
  CHECK ((outcome = ANY (ARRAY['delivered'::text, 'refused'::text, 'unreachable'::text, 'blocked'::text, 'cancelled'::text]))),
  CHECK ((trigger = ANY (ARRAY['schedule'::text, 'manual'::text, 'test'::text])))
) partition by range (id);

create table walhook.audit (
  id bigint generated always as identity not null,
  at timestamp with time zone default now() not null,
  actor_kind text not null,
  actor text not null,
  token_id integer,
  user_id text,
  action text not null,
  target_id text,
  webhook_id integer,
  changes jsonb default '{}'::jsonb not null,
  tenant text collate "C",
  actor_tenant text collate "C",
  PRIMARY KEY (id),
  CHECK (((actor_kind = 'token'::text) = (token_id IS NOT NULL))),
  CHECK ((action ~ '^[a-z_]+\.[a-z_]+$'::text)),
  CHECK ((actor_kind = ANY (ARRAY['token'::text, 'link'::text, 'oidc'::text, 'configuration'::text, 'command line'::text, 'walhook'::text]))) NOT VALID,
  CHECK ((jsonb_typeof(changes) = 'object'::text))
);

create table walhook.backfills (
  id integer generated always as identity not null,
  slot_name text collate "C" not null,
  entity_type text collate "C" not null,
  webhook_id integer,
  action_type text not null,
  rows_per_second integer not null,
  state text default 'waiting'::text not null,
  reason text,
  after_key text,
  until_key text,
  rows_done bigint default 0 not null,
  rows_estimate bigint,
  created_at timestamp with time zone default now() not null,
  started_at timestamp with time zone,
  ended_at timestamp with time zone,
  code text,
  PRIMARY KEY (id),
  CHECK (((after_key IS NULL) OR (until_key IS NOT NULL))),
  CHECK (((rows_per_second >= 1) AND (rows_per_second <= 100000))),
  CHECK (((state <> 'done'::text) OR (reason IS NULL))),
  CHECK (((state <> 'running'::text) OR ((started_at IS NOT NULL) AND (after_key IS NOT NULL)))),
  CHECK (((state <> 'waiting'::text) OR ((started_at IS NULL) AND (after_key IS NULL)))),
  CHECK (((state <> ALL (ARRAY['cancelled'::text, 'failed'::text])) OR (reason IS NOT NULL))),
  CHECK (((state = ANY (ARRAY['done'::text, 'cancelled'::text, 'failed'::text])) = (ended_at IS NOT NULL))),
  CHECK ((action_type = ANY (ARRAY['new'::text, 'update'::text]))),
  CHECK ((entity_type <> ''::text)),
  CHECK ((rows_done >= 0)),
  CHECK ((rows_estimate >= 0)),
  CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'cancelled'::text, 'failed'::text])))
);

create table walhook.batches (
  webhook_id integer not null,
  id bigint not null,
  share smallint not null,
  due_at timestamp with time zone not null,
  taken_by integer,
  PRIMARY KEY (webhook_id, id)
);

create table walhook.captured (
  slot_name text collate "C" not null,
  facts jsonb not null,
  seen_lsn pg_lsn not null,
  seen_at timestamp with time zone default now() not null,
  seen_xid bigint,
  PRIMARY KEY (slot_name),
  FOREIGN KEY (slot_name) REFERENCES walhook.positions(slot_name) ON UPDATE CASCADE ON DELETE CASCADE
);

create table walhook.cells (
  number integer generated always as identity not null,
  name text collate "C" not null,
  schema text collate "C" not null,
  url text,
  copied_up_to bigint not null,
  added_at timestamp with time zone default now() not null,
  PRIMARY KEY (name),
  UNIQUE (number),
  CHECK (((name ~ '^[a-z0-9][a-z0-9_-]{0,39}$'::text) AND (name <> 'main'::text))),
  CHECK ((url ~~ 'v1:%'::text))
);

create table walhook.checksum_key (
  is_only boolean default true not null,
  key bytea not null,
  PRIMARY KEY (is_only),
  CHECK ((octet_length(key) = 32)),
  CHECK (is_only)
);

create table walhook.deliveries (
  webhook_id integer not null,
  entity_type text collate "C" not null,
  entity_id text collate "C" not null,
  event_id bigint not null,
  attempts smallint default 0 not null,
  with_previous boolean default false not null,
  is_manual boolean default false not null,
  as_new boolean default false not null,
  batch_id bigint,
  share smallint not null,
  due_at timestamp with time zone not null,
  taken_by integer,
  as_delete boolean default false not null,
  PRIMARY KEY (webhook_id, entity_type, entity_id, event_id),
  CHECK ((attempts >= 0))
) with (fillfactor=90, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=5000, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=1, autovacuum_analyze_scale_factor=0.2);

create table walhook.ended_deliveries (
  webhook_id integer not null,
  event_id bigint not null,
  entity_type text collate "C" not null,
  entity_id text collate "C" not null,
  state text collate "C" not null,
  superseded_by bigint,
  attempts smallint not null,
  ended_at timestamp with time zone default now() not null,
  as_new boolean default false not null,
  PRIMARY KEY (webhook_id, event_id),
  CHECK (((state <> 'dead'::text) OR (attempts > 0))),
  CHECK (((state = 'superseded'::text) = (superseded_by IS NOT NULL))),
  CHECK ((attempts >= 0)),
  CHECK ((state = ANY (ARRAY['dead'::text, 'superseded'::text, 'cancelled'::text])))
) partition by range (event_id);

create table walhook.events (
  id bigint not null,
  commit_lsn pg_lsn not null,
  index_in_transaction integer not null,
  entity_type text collate "C" not null,
  entity_id text collate "C" not null,
  action_type text not null,
  committed_at timestamp with time zone not null,
  body text not null,
  previous text,
  changed text[],
  omitted text[],
  share smallint,
  webhooks_version integer,
  only_webhook_id integer,
  tenant text collate "C",
  tenant_before text collate "C",
  PRIMARY KEY (id),
  CHECK ((action_type = ANY (ARRAY['new'::text, 'update'::text, 'delete'::text, 'failing'::text, 'recovered'::text, 'disabled'::text, 'dead'::text, 'lost'::text, 'blocked'::text, 'lagging'::text]))) NOT VALID,
  CHECK ((entity_type <> ''::text)),
  CHECK ((id > 0)),
  CHECK ((index_in_transaction >= 0))
) partition by range (id);

create table walhook.forgotten (
  what text collate "C" not null,
  at timestamp with time zone default now() not null,
  PRIMARY KEY (what)
);

create table walhook.gaps (
  id integer generated always as identity not null,
  slot_name text collate "C" not null,
  reason text not null,
  detail text not null,
  from_lsn pg_lsn not null,
  to_lsn pg_lsn,
  found_at timestamp with time zone default now() not null,
  resynced_at timestamp with time zone,
  entity_type text collate "C",
  table_name text collate "C",
  PRIMARY KEY (id),
  CHECK (
CASE
    WHEN (table_name IS NULL) THEN (reason = ANY (ARRAY['slot missing'::text, 'slot invalidated'::text, 'slot moved'::text, 'slot older than publication'::text, 'publication missing'::text, 'publication remade'::text, 'other cluster'::text, 'other database'::text, 'other history'::text, 'other slot'::text, 'given up'::text, 'cell set back'::text]))
    ELSE (reason = ANY (ARRAY['publication changed'::text, 'table replaced'::text, 'table unpublished'::text, 'table unlogged'::text, 'table unmapped'::text, 'table dropped'::text, 'partition detached'::text, 'partition rewritten'::text, 'rows unreadable'::text]))
END),
  CHECK (((entity_type IS NULL) = (table_name IS NULL))),
  CHECK (((resynced_at IS NULL) OR (to_lsn IS NOT NULL)))
);

create table walhook.holders (
  id integer generated always as identity not null,
  beat bigint default 0 not null,
  alive_until timestamp with time zone not null,
  may_send_up_to bigint default 0 not null,
  is_leaving boolean default false not null,
  timeline text,
  PRIMARY KEY (id)
) with (fillfactor=50);

create table walhook.home (
  is_only boolean default true not null,
  system_identifier text collate "C",
  database_oid bigint not null,
  database_name text collate "C" not null,
  since timestamp with time zone default now() not null,
  PRIMARY KEY (is_only),
  CHECK (is_only)
);

create table walhook.idempotency_keys (
  holder integer not null,
  key text collate "C" not null,
  request_hash bytea not null,
  created_at timestamp with time zone default now() not null,
  answer text,
  PRIMARY KEY (holder, key),
  CHECK (((length(key) >= 1) AND (length(key) <= 255))),
  CHECK ((answer ~~ 'v1:%'::text)),
  CHECK ((holder >= 0)),
  CHECK ((octet_length(request_hash) = 32))
);

create table walhook.incidents (
  id integer generated always as identity not null,
  kind text collate "C" not null,
  subject text collate "C" not null,
  webhook_id integer,
  opened_at timestamp with time zone default now() not null,
  last_at timestamp with time zone default now() not null,
  count bigint default 1 not null,
  facts jsonb default '{}'::jsonb not null,
  ended_at timestamp with time zone,
  tells_end boolean default false not null,
  told_at timestamp with time zone,
  end_told_at timestamp with time zone,
  PRIMARY KEY (id),
  FOREIGN KEY (webhook_id) REFERENCES walhook.webhooks(id) ON DELETE CASCADE,
  CHECK (((end_told_at IS NULL) OR (told_at IS NOT NULL))),
  CHECK (((ended_at IS NOT NULL) OR (NOT tells_end))),
  CHECK ((count > 0)),
  CHECK ((jsonb_typeof(facts) = 'object'::text)),
  CHECK ((kind = ANY (ARRAY['webhook.failing'::text, 'webhook.disabled'::text, 'delivery.dead'::text, 'capture.lost'::text, 'capture.blocked'::text, 'capture.lagging'::text])))
);

create table walhook.kept_attempts (
  webhook_id integer not null,
  id bigint not null,
  trigger text not null,
  event_id bigint,
  request_body text,
  message_id text,
  entity_type text collate "C",
  entity_id text collate "C",
  action_type text,
  number smallint not null,
  url text,
  request_headers jsonb,
  started_at timestamp with time zone not null,
  duration_ms double precision not null,
  phases jsonb,
  remote_address text,
  status smallint,
  response_headers jsonb,
  response_body text,
  response_truncated boolean not null,
  outcome text not null,
  error_class text,
  error_message text,
  next_attempt_at timestamp with time zone,
  with_previous boolean not null,
  event_ids bigint[],
  has_bodies boolean default true not null,
  head_id bigint,
  dns_ms real,
  connect_ms real,
  tls_ms real,
  first_byte_ms real,
  body_ms real,
  own_headers text,
  PRIMARY KEY (webhook_id, id)
);

create table walhook.known_columns (
  slot_name text collate "C" not null,
  entity_type text collate "C" not null,
  table_name text collate "C" not null,
  columns text[] not null,
  PRIMARY KEY (slot_name, entity_type, table_name),
  CHECK ((array_position(columns, NULL::text) IS NULL))
);

create table walhook.mail_addresses (
  id integer generated always as identity not null,
  tenant text collate "C" not null,
  address text collate "C" not null,
  ask_at timestamp with time zone default now(),
  attempts integer default 0 not null,
  asked_at timestamp with time zone,
  error text,
  confirmed_at timestamp with time zone,
  stopped_at timestamp with time zone,
  taken_at timestamp with time zone,
  sent_at timestamp with time zone[] default '{}'::timestamp with time zone[] not null,
  waits_for text,
  language text,
  PRIMARY KEY (id),
  UNIQUE (tenant, address),
  CHECK ((attempts >= 0)),
  CHECK ((language = ANY (ARRAY['en'::text, 'nl'::text]))),
  CHECK ((num_nonnulls(ask_at, asked_at, error, confirmed_at, stopped_at) > 0)),
  CHECK ((waits_for = ANY (ARRAY['public_url'::text, 'daily_limit'::text])))
);

create table walhook.parked_changes (
  commit_lsn pg_lsn not null,
  index_in_transaction integer not null,
  entity_type text collate "C" not null,
  entity_id text collate "C",
  action_type text not null,
  reason text not null,
  parked_at timestamp with time zone default now() not null,
  PRIMARY KEY (commit_lsn, index_in_transaction),
  CHECK ((action_type = ANY (ARRAY['new'::text, 'update'::text, 'delete'::text]))),
  CHECK ((index_in_transaction >= 0))
);

create table walhook.placements (
  webhook_id integer not null,
  cell text collate "C" not null,
  moving_to text collate "C",
  tenant text collate "C",
  PRIMARY KEY (webhook_id),
  CHECK ((moving_to <> cell))
);

create table walhook.positions (
  slot_name text collate "C" not null,
  system_identifier text not null,
  commit_lsn pg_lsn not null,
  last_event_id bigint default 0 not null,
  updated_at timestamp with time zone default now() not null,
  confirmed_lsn pg_lsn,
  read_lsn pg_lsn,
  webhooks_version integer default 0 not null,
  PRIMARY KEY (slot_name),
  CHECK ((last_event_id >= 0))
);

create table walhook.replays (
  id integer generated always as identity not null,
  webhook_id integer not null,
  from_id bigint not null,
  to_id bigint not null,
  triggers text[],
  from_version integer,
  to_version integer,
  counted integer not null,
  is_exact boolean not null,
  state text default 'running'::text not null,
  looked_at integer default 0 not null,
  queued integer default 0 not null,
  after_type text collate "C",
  after_id text collate "C",
  actor text not null,
  actor_tenant text collate "C",
  created_at timestamp with time zone default now() not null,
  ended_at timestamp with time zone,
  taken_until timestamp with time zone default now() not null,
  problem text,
  PRIMARY KEY (id),
  FOREIGN KEY (webhook_id) REFERENCES walhook.webhooks(id) ON DELETE CASCADE,
  CHECK (((after_type IS NULL) = (after_id IS NULL))),
  CHECK (((cardinality(triggers) > 0) AND (array_position(triggers, NULL::text) IS NULL))),
  CHECK (((queued >= 0) AND (queued <= looked_at))),
  CHECK (((state = 'running'::text) = (ended_at IS NULL))),
  CHECK (((to_version IS NULL) OR (from_version IS NOT NULL))),
  CHECK ((counted >= 0)),
  CHECK ((from_id < to_id)),
  CHECK ((looked_at >= 0)),
  CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text, 'failed'::text])))
);

create table walhook.resyncs (
  id integer generated always as identity not null,
  slot_name text collate "C" not null,
  entity_type text collate "C" not null,
  gap_ids integer[] not null,
  state text default 'waiting'::text not null,
  phase text default 'rows'::text not null,
  reason text,
  known_up_to bigint not null,
  after_key text,
  until_key text,
  rows_done bigint default 0 not null,
  deletes_done bigint default 0 not null,
  rows_estimate bigint,
  created_at timestamp with time zone default now() not null,
  ended_at timestamp with time zone,
  code text,
  table_name text collate "C",
  part_oid bigint,
  part_name text collate "C",
  field text collate "C",
  hop smallint,
  hop_value text collate "C",
  orders integer default 1 not null,
  PRIMARY KEY (id),
  CHECK ((((table_name IS NULL) = (part_oid IS NULL)) AND ((part_oid IS NULL) = (part_name IS NULL)))),
  CHECK (((cardinality(gap_ids) > 0) = ((part_oid IS NULL) AND (field IS NULL)))),
  CHECK (((field IS NULL) = (hop IS NULL))),
  CHECK (((field IS NULL) OR (part_oid IS NULL))),
  CHECK (((hop_value IS NULL) OR (field IS NOT NULL))),
  CHECK (((state = ANY (ARRAY['done'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
  CHECK ((deletes_done >= 0)),
  CHECK ((entity_type <> ''::text)),
  CHECK ((hop > 0)),
  CHECK ((phase = ANY (ARRAY['rows'::text, 'deletes'::text]))),
  CHECK ((rows_done >= 0)),
  CHECK ((rows_estimate >= 0)),
  CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'cancelled'::text])))
);

create table walhook.retention_clock (
  is_only boolean default true not null,
  reached_at timestamp with time zone not null,
  PRIMARY KEY (is_only),
  CHECK (is_only)
);

create table walhook.session_links (
  hash bytea not null,
  token_id integer,
  token_mac bytea,
  tenant text collate "C" not null,
  role text not null,
  name text not null,
  user_id text,
  language text,
  path text not null,
  expires_at timestamp with time zone not null,
  PRIMARY KEY (hash),
  FOREIGN KEY (token_id) REFERENCES walhook.tokens(id) ON DELETE CASCADE,
  CHECK (((token_id IS NULL) = (token_mac IS NOT NULL))),
  CHECK ((octet_length(hash) = 32)),
  CHECK ((octet_length(token_mac) = 32)),
  CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text]))),
  CHECK ((tenant <> ''::text))
);

create table walhook.sessions (
  hash bytea not null,
  token_id integer,
  token_mac bytea,
  created_at timestamp with time zone default now() not null,
  expires_at timestamp with time zone not null,
  has_checksum boolean default false not null,
  tenant text collate "C",
  role text,
  name text,
  user_id text,
  subject text,
  id_token text,
  PRIMARY KEY (hash),
  FOREIGN KEY (token_id) REFERENCES walhook.tokens(id) ON DELETE CASCADE,
  CHECK (((id_token IS NULL) OR (subject IS NOT NULL))),
  CHECK (((role IS NULL) OR (tenant IS NOT NULL) OR (subject IS NOT NULL))),
  CHECK (((subject IS NULL) OR ((token_id IS NULL) AND (role IS NOT NULL)))),
  CHECK (((tenant IS NULL) OR (role IS NOT NULL))),
  CHECK (((token_id IS NULL) = (token_mac IS NOT NULL))),
  CHECK ((num_nulls(role, name) = ANY (ARRAY[0, 2]))),
  CHECK ((octet_length(hash) = 32)),
  CHECK ((octet_length(token_mac) = 32)),
  CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text]))),
  CHECK ((subject <> ''::text))
);

create table walhook.shares (
  share smallint not null,
  holder_id integer,
  settled_up_to bigint not null,
  wait_until timestamp with time zone,
  PRIMARY KEY (share),
  FOREIGN KEY (holder_id) REFERENCES walhook.holders(id) ON DELETE SET NULL
) with (fillfactor=50);

create table walhook.skips (
  id integer generated always as identity not null,
  webhook_id integer not null,
  entity_type text collate "C",
  entity_id text collate "C",
  after_id bigint not null,
  up_to bigint not null,
  at timestamp with time zone default now() not null,
  PRIMARY KEY (id),
  CHECK (((entity_type IS NULL) = (entity_id IS NULL))),
  CHECK ((after_id < up_to))
);

create table walhook.source_columns (
  slot_name text collate "C" not null,
  table_oid bigint not null,
  attnum integer not null,
  column_name text collate "C" not null,
  table_schema text not null,
  table_name text not null,
  is_omitted boolean not null,
  PRIMARY KEY (slot_name, table_oid, attnum, column_name),
  FOREIGN KEY (slot_name) REFERENCES walhook.positions(slot_name) ON UPDATE CASCADE ON DELETE CASCADE
);

create table walhook.streams (
  webhook_id integer not null,
  share smallint not null,
  settled_up_to bigint not null,
  may_send_up_to bigint not null,
  PRIMARY KEY (webhook_id, share),
  CHECK ((settled_up_to <= may_send_up_to))
) with (fillfactor=70);

create table walhook.tokens (
  id integer generated always as identity not null,
  name text not null,
  hash bytea not null,
  user_id text,
  created_at timestamp with time zone default now() not null,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  role text not null,
  expires_at timestamp with time zone,
  has_checksum boolean default false not null,
  tenant text collate "C",
  PRIMARY KEY (id),
  UNIQUE (hash),
  CHECK (((length(name) >= 1) AND (length(name) <= 200))),
  CHECK (((tenant <> ''::text) AND (length(tenant) <= 200))),
  CHECK ((octet_length(hash) = 32)),
  CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text])))
);

create table walhook.used_sign_ins (
  state_hash bytea not null,
  expires_at timestamp with time zone not null,
  PRIMARY KEY (state_hash),
  CHECK ((octet_length(state_hash) = 32))
);

create table walhook.webhook_states (
  webhook_id integer not null,
  since timestamp with time zone default clock_timestamp() not null,
  is_active boolean not null,
  disabled_reason text,
  triggers text[] not null,
  update_fields text[],
  version integer,
  filter jsonb,
  filter_entering text default 'update'::text not null,
  filter_leaving text default 'nothing'::text not null,
  tenant text collate "C",
  PRIMARY KEY (webhook_id, since),
  FOREIGN KEY (webhook_id) REFERENCES walhook.webhooks(id) ON DELETE CASCADE
);

create table walhook.webhooks (
  id integer not null,
  name text not null,
  url text not null,
  is_active boolean default true not null,
  triggers text[] not null,
  secret text not null,
  disabled_at timestamp with time zone,
  disabled_reason text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  previous boolean default false not null,
  update_fields text[],
  failing_since timestamp with time zone,
  held_until timestamp with time zone,
  previous_secret text,
  previous_secret_expires_at timestamp with time zone,
  headers text,
  header_names text[] default '{}'::text[] not null,
  mode text default 'every'::text not null,
  batch_max_events integer,
  batch_max_wait_ms integer,
  version integer default 1 not null,
  log_bodies text default 'all'::text not null,
  failed_for_ms bigint,
  failed_at timestamp with time zone,
  next_try_at timestamp with time zone,
  activated_at timestamp with time zone default now() not null,
  client_identity text,
  client_certificate jsonb,
  changed_in_version integer default 0 not null,
  filter jsonb,
  filter_entering text default 'update'::text not null,
  filter_leaving text default 'nothing'::text not null,
  tenant text collate "C",
  alert_to text[] default '{}'::text[] not null,
  managed_by text,
  traceparent boolean default false not null,
  moving_to text collate "C",
  PRIMARY KEY (id),
  CHECK (((array_position(alert_to, NULL::text) IS NULL) AND (cardinality(alert_to) <= 20))),
  CHECK (((array_position(triggers, NULL::text) IS NULL) AND (COALESCE(array_ndims(triggers), 0) = 1))),
  CHECK (((array_position(update_fields, NULL::text) IS NULL) AND (cardinality(update_fields) > 0))),
  CHECK (((batch_max_events >= 2) AND (batch_max_events <= 1000))),
  CHECK (((batch_max_events IS NULL) = (batch_max_wait_ms IS NULL))),
  CHECK (((batch_max_wait_ms >= 0) AND (batch_max_wait_ms <= 60000))),
  CHECK (((client_identity IS NULL) = (client_certificate IS NULL))),
  CHECK (((disabled_at IS NULL) = (disabled_reason IS NULL))),
  CHECK (((failed_for_ms IS NULL) = (failed_at IS NULL))),
  CHECK (((headers IS NULL) = (cardinality(header_names) = 0))),
  CHECK (((jsonb_typeof(filter) = 'object'::text) AND (filter <> '{}'::jsonb))),
  CHECK (((length(managed_by) >= 1) AND (length(managed_by) <= 500))),
  CHECK (((length(name) >= 1) AND (length(name) <= 200))),
  CHECK (((length(url) >= 1) AND (length(url) <= 2048))),
  CHECK (((previous_secret IS NULL) = (previous_secret_expires_at IS NULL))),
  CHECK (((tenant <> ''::text) AND (length(tenant) <= 200))),
  CHECK ((array_position(header_names, NULL::text) IS NULL)),
  CHECK ((client_identity ~~ 'v1:%'::text)),
  CHECK ((failed_for_ms >= 0)),
  CHECK ((filter_entering = ANY (ARRAY['update'::text, 'new'::text]))),
  CHECK ((filter_leaving = ANY (ARRAY['nothing'::text, 'update'::text, 'delete'::text]))),
  CHECK ((headers ~~ 'v1:%'::text)),
  CHECK ((log_bodies = ANY (ARRAY['all'::text, 'failed'::text, 'none'::text]))),
  CHECK ((mode = ANY (ARRAY['every'::text, 'latest'::text]))),
  CHECK ((previous_secret ~~ 'v1:%'::text)),
  CHECK ((secret ~~ 'v1:%'::text)),
  CHECK ((version > 0))
);

create table walhook.webhooks_version (
  is_only boolean default true not null,
  version integer not null,
  PRIMARY KEY (is_only),
  CHECK (is_only)
);

CREATE INDEX alert_mails_by_due ON walhook.alert_mails USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX alert_mails_taken ON walhook.alert_mails USING btree (recipient, taken_at) WHERE (taken_at IS NOT NULL);

CREATE INDEX alert_mails_unsent ON walhook.alert_mails USING btree (id) WHERE (sent_at IS NULL);

CREATE INDEX attempts_by_event ON ONLY walhook.attempts USING btree (event_id, webhook_id);

CREATE INDEX attempts_by_event_in_batch ON ONLY walhook.attempts USING gin (event_ids) WHERE (event_ids IS NOT NULL);

CREATE INDEX attempts_by_hand ON ONLY walhook.attempts USING btree (webhook_id, id) WHERE (trigger <> 'schedule'::text);

CREATE INDEX attempts_not_delivered ON ONLY walhook.attempts USING btree (webhook_id, id) WHERE (outcome <> 'delivered'::text);

CREATE INDEX audit_by_tenant ON walhook.audit USING btree (tenant, id) WHERE (tenant IS NOT NULL);

CREATE INDEX audit_by_time ON walhook.audit USING btree (at);

CREATE INDEX audit_by_webhook ON walhook.audit USING btree (webhook_id, id) WHERE (webhook_id IS NOT NULL);

CREATE INDEX batches_by_due ON walhook.batches USING btree (share, webhook_id, due_at) WHERE (taken_by IS NULL);

CREATE INDEX deliveries_by_batch ON walhook.deliveries USING btree (webhook_id, batch_id) WHERE (batch_id IS NOT NULL);

CREATE INDEX deliveries_by_due ON walhook.deliveries USING btree (webhook_id, share, due_at) WHERE ((taken_by IS NULL) AND (due_at < 'infinity'::timestamp with time zone));

CREATE INDEX deliveries_taken ON walhook.deliveries USING btree (taken_by) WHERE (taken_by IS NOT NULL);

CREATE INDEX ended_deliveries_by_state ON ONLY walhook.ended_deliveries USING btree (state, webhook_id, event_id);

CREATE INDEX events_by_entity ON ONLY walhook.events USING btree (entity_id, id) WHERE (entity_id IS NOT NULL);

CREATE INDEX events_by_tenant ON ONLY walhook.events USING btree (tenant, id) WHERE (tenant IS NOT NULL);

CREATE INDEX events_by_tenant_before ON ONLY walhook.events USING btree (tenant_before, id) WHERE (tenant_before IS NOT NULL);

CREATE INDEX idempotency_keys_by_age ON walhook.idempotency_keys USING btree (created_at);

CREATE INDEX incidents_by_subject ON walhook.incidents USING btree (subject, kind, ended_at);

CREATE INDEX incidents_by_webhook ON walhook.incidents USING btree (webhook_id) WHERE (webhook_id IS NOT NULL);

CREATE INDEX incidents_untold ON walhook.incidents USING btree (id) WHERE ((told_at IS NULL) OR (tells_end AND (end_told_at IS NULL)));

CREATE INDEX mail_addresses_taken ON walhook.mail_addresses USING btree (address, taken_at);

CREATE INDEX mail_addresses_taken_of_tenant ON walhook.mail_addresses USING btree (tenant, taken_at);

CREATE INDEX mail_addresses_to_ask ON walhook.mail_addresses USING btree (ask_at) WHERE (ask_at IS NOT NULL);

CREATE INDEX placements_by_tenant ON walhook.placements USING btree (tenant) WHERE (tenant IS NOT NULL);

CREATE INDEX replays_by_webhook ON walhook.replays USING btree (webhook_id, id);

CREATE INDEX replays_running ON walhook.replays USING btree (taken_until) WHERE (state = 'running'::text);

CREATE INDEX session_links_by_end ON walhook.session_links USING btree (expires_at);

CREATE INDEX sessions_by_end ON walhook.sessions USING btree (expires_at);

CREATE INDEX sessions_by_token ON walhook.sessions USING btree (token_id);

CREATE INDEX skips_by_webhook ON walhook.skips USING btree (webhook_id, after_id);

CREATE INDEX tokens_by_tenant ON walhook.tokens USING btree (tenant, id) WHERE (tenant IS NOT NULL);

CREATE INDEX used_sign_ins_by_end ON walhook.used_sign_ins USING btree (expires_at);

CREATE INDEX webhooks_by_tenant ON walhook.webhooks USING btree (tenant, id) WHERE (tenant IS NOT NULL);

CREATE INDEX webhooks_by_version ON walhook.webhooks USING btree (changed_in_version);

CREATE UNIQUE INDEX backfills_open ON walhook.backfills USING btree (slot_name, entity_type, COALESCE(webhook_id, 0)) WHERE (state = ANY (ARRAY['waiting'::text, 'running'::text]));

CREATE UNIQUE INDEX gaps_open ON walhook.gaps USING btree (slot_name, COALESCE(entity_type, ''::text), COALESCE(table_name, ''::text)) WHERE (resynced_at IS NULL);

CREATE UNIQUE INDEX incidents_open ON walhook.incidents USING btree (kind, subject) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX positions_only_one ON walhook.positions USING btree ((true));

CREATE UNIQUE INDEX resyncs_fan_out ON walhook.resyncs USING btree (slot_name, entity_type, field, hop, COALESCE(('='::text || hop_value), ''::text)) WHERE ((state = ANY (ARRAY['waiting'::text, 'running'::text])) AND (field IS NOT NULL));

CREATE UNIQUE INDEX resyncs_open ON walhook.resyncs USING btree (slot_name, entity_type, COALESCE(table_name, ''::text), COALESCE(part_oid, (0)::bigint)) WHERE ((state = ANY (ARRAY['waiting'::text, 'running'::text])) AND (field IS NULL));

CREATE UNIQUE INDEX webhook_states_by_version ON walhook.webhook_states USING btree (webhook_id, version) WHERE (version IS NOT NULL);

CREATE TRIGGER note_changed_state AFTER UPDATE ON walhook.webhooks FOR EACH ROW WHEN ((((((((old.is_active IS DISTINCT FROM new.is_active) OR (old.disabled_reason IS DISTINCT FROM new.disabled_reason)) OR (old.triggers IS DISTINCT FROM new.triggers)) OR (old.update_fields IS DISTINCT FROM new.update_fields)) OR (old.filter IS DISTINCT FROM new.filter)) OR (old.filter_entering IS DISTINCT FROM new.filter_entering)) OR (old.filter_leaving IS DISTINCT FROM new.filter_leaving))) EXECUTE FUNCTION walhook.note_webhook_state();

CREATE TRIGGER note_changed_traceparent BEFORE UPDATE ON walhook.webhooks FOR EACH ROW WHEN ((old.traceparent IS DISTINCT FROM new.traceparent)) EXECUTE FUNCTION walhook.note_change_of_webhook();

CREATE TRIGGER note_changed_webhook BEFORE UPDATE ON walhook.webhooks FOR EACH ROW WHEN ((((((((((((((((((((old.url IS DISTINCT FROM new.url) OR (old.secret IS DISTINCT FROM new.secret)) OR (old.previous_secret IS DISTINCT FROM new.previous_secret)) OR (old.previous_secret_expires_at IS DISTINCT FROM new.previous_secret_expires_at)) OR (old.headers IS DISTINCT FROM new.headers)) OR (old.client_identity IS DISTINCT FROM new.client_identity)) OR (old.mode IS DISTINCT FROM new.mode)) OR (old.batch_max_events IS DISTINCT FROM new.batch_max_events)) OR (old.batch_max_wait_ms IS DISTINCT FROM new.batch_max_wait_ms)) OR (old.previous IS DISTINCT FROM new.previous)) OR (old.is_active IS DISTINCT FROM new.is_active)) OR (old.disabled_at IS DISTINCT FROM new.disabled_at)) OR (old.disabled_reason IS DISTINCT FROM new.disabled_reason)) OR (old.triggers IS DISTINCT FROM new.triggers)) OR (old.update_fields IS DISTINCT FROM new.update_fields)) OR (old.filter IS DISTINCT FROM new.filter)) OR (old.filter_entering IS DISTINCT FROM new.filter_entering)) OR (old.filter_leaving IS DISTINCT FROM new.filter_leaving)) OR (old.held_until IS DISTINCT FROM new.held_until))) EXECUTE FUNCTION walhook.note_change_of_webhook();

CREATE TRIGGER note_deleted_webhook AFTER DELETE ON walhook.webhooks FOR EACH ROW EXECUTE FUNCTION walhook.note_deleted_webhook();

CREATE TRIGGER note_moving_webhook BEFORE UPDATE ON walhook.webhooks FOR EACH ROW WHEN ((old.moving_to IS DISTINCT FROM new.moving_to)) EXECUTE FUNCTION walhook.note_change_of_webhook();

CREATE TRIGGER note_new_state AFTER INSERT ON walhook.webhooks FOR EACH ROW EXECUTE FUNCTION walhook.note_webhook_state();

CREATE TRIGGER note_new_webhook BEFORE INSERT ON walhook.webhooks FOR EACH ROW EXECUTE FUNCTION walhook.note_change_of_webhook();

CREATE TRIGGER note_skip AFTER INSERT ON walhook.skips FOR EACH ROW EXECUTE FUNCTION walhook.note_skip();
