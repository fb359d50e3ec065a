-- Filters on values, per webhook: decision 0067.
-- filter: {"user.company_id": 5, "user.gender": ["man", null]}; null: every entity.
alter table walhook.webhooks
  add column filter jsonb check (jsonb_typeof(filter) = 'object' and filter <> '{}'),
  add column filter_entering text not null default 'update' check (filter_entering in ('update', 'new')),
  add column filter_leaving text not null default 'nothing' check (filter_leaving in ('nothing', 'update', 'delete'));

alter table walhook.webhook_states
  add column filter jsonb,
  add column filter_entering text not null default 'update',
  add column filter_leaving text not null default 'nothing';

-- An `update` that takes its entity out of a filter is sent as `delete`.
alter table walhook.deliveries add column as_delete boolean not null default false;

-- The parts of a JSON object (by name) or list (name null), each with its JSON as it stands there, for what jsonb refuses:
-- values of columns of type json may hold \u0000, half of a surrogate pair, or numbers beyond numeric.
create function walhook.json_parts(doc text) returns table (name text, value text)
language plpgsql immutable strict parallel safe as $$
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
end $$;

-- A value as jsonb; where jsonb refuses it, {}: no filter matches either of them. Of a list, that is asked of each item.
create function walhook.parsed_json(doc text) returns jsonb
language plpgsql immutable strict parallel safe as $$
begin
  return doc::jsonb;
exception when others then
  if doc like '[%' then
    return (select coalesce(jsonb_agg(case when value ~ '^[\[{]' then '{}' else walhook.parsed_json(value) end), '[]')
            from walhook.json_parts(doc));
  end if;
  return '{}';
end $$;

-- The fields of a JSON object, or of the one that is its field `part`.
create function walhook.json_fields(doc text, part text) returns jsonb
language plpgsql immutable parallel safe as $$
begin
  return case when part is null then doc::jsonb else doc::jsonb -> part end;
exception when others then
  if part is not null then
    doc := (select value from walhook.json_parts(doc) where name = part limit 1);
  end if;
  return (select jsonb_object_agg(name, walhook.parsed_json(value)) from walhook.json_parts(doc));
end $$;

-- Whether a field's value is one of `wanted`, or a list with one of them as an item.
create function walhook.is_one_of(wanted jsonb, value jsonb) returns boolean
language sql immutable strict parallel safe as $$
  select case jsonb_typeof(value)
    when 'object' then false
    when 'array' then exists (
      select from jsonb_array_elements(value) item where jsonb_typeof(item) not in ('object', 'array') and wanted @> item)
    else wanted @> value
  end
$$;

-- As what an event is told, by a webhook's filter, whether it has the trigger for it or not; null: it is not told.
-- `throughFilter` in domain/event/wanted.ts is the same function, and says why.
create function walhook.through_filter(
  filter jsonb, entering text, leaving text, has_wanted_field boolean,
  entity_type text, action_type text, body text, previous text, changed text[], omitted text[]
) returns text language plpgsql stable parallel safe as $$
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
end $$;

drop trigger note_changed_webhook on walhook.webhooks;
create trigger note_changed_webhook before update on walhook.webhooks
  for each row when (
    (old.url, old.secret, old.previous_secret, old.previous_secret_expires_at, old.headers, old.client_identity, old.mode,
     old.batch_max_events, old.batch_max_wait_ms, old.previous, old.is_active, old.disabled_at, old.disabled_reason,
     old.triggers, old.update_fields, old.filter, old.filter_entering, old.filter_leaving, old.held_until)
    is distinct from
    (new.url, new.secret, new.previous_secret, new.previous_secret_expires_at, new.headers, new.client_identity, new.mode,
     new.batch_max_events, new.batch_max_wait_ms, new.previous, new.is_active, new.disabled_at, new.disabled_reason,
     new.triggers, new.update_fields, new.filter, new.filter_entering, new.filter_leaving, new.held_until))
  execute function walhook.note_change_of_webhook();

create or replace function walhook.note_webhook_state() returns trigger language plpgsql as $$
begin
  delete from walhook.webhook_states where webhook_id = new.id and version = new.changed_in_version;
  insert into walhook.webhook_states
    (webhook_id, version, is_active, disabled_reason, triggers, update_fields, filter, filter_entering, filter_leaving)
  values (new.id, new.changed_in_version, new.is_active, new.disabled_reason, new.triggers, new.update_fields,
          new.filter, new.filter_entering, new.filter_leaving)
  on conflict (webhook_id, since) do update
    set version = excluded.version, is_active = excluded.is_active, disabled_reason = excluded.disabled_reason,
        triggers = excluded.triggers, update_fields = excluded.update_fields, filter = excluded.filter,
        filter_entering = excluded.filter_entering, filter_leaving = excluded.filter_leaving;
  return null;
end $$;

drop trigger note_changed_state on walhook.webhooks;
create trigger note_changed_state after update on walhook.webhooks
  for each row when (
    (old.is_active, old.disabled_reason, old.triggers, old.update_fields, old.filter, old.filter_entering, old.filter_leaving)
    is distinct from
    (new.is_active, new.disabled_reason, new.triggers, new.update_fields, new.filter, new.filter_entering, new.filter_leaving))
  execute function walhook.note_webhook_state();
