-- A `delete` may tell the values before it as `last`, and a filter judges it by them: decision 0075.
-- As what an event is told, by a webhook's filter, whether it has the trigger for it or not; null: it is not told.
-- `throughFilter` in domain/event/wanted.ts is the same function, and says why.
create or replace function walhook.through_filter(
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
end $$;
