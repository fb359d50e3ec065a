-- A changed row that very many entities show, through other tables, is told page by page: decision 0073. It is a resync of these
-- entities alone, which mends no gap.
alter table walhook.resyncs
  -- The related field, which of its tables the row is in, and by which value that leads to it; null: by any.
  add column field     text collate "C",
  add column hop       smallint check (hop > 0),
  add column hop_value text collate "C",
  -- How often it was ordered: a page that was read before the last time does not count.
  add column orders    integer not null default 1,
  add check ((field is null) = (hop is null)),
  add check (hop_value is null or field is not null),
  add check (field is null or part_oid is null);

alter table walhook.resyncs drop constraint resyncs_gap_ids_check;
alter table walhook.resyncs add constraint resyncs_gap_ids_check
  check ((cardinality(gap_ids) > 0) = (part_oid is null and field is null));

drop index walhook.resyncs_open;
create unique index resyncs_open on walhook.resyncs (slot_name, entity_type, coalesce(table_name, ''), coalesce(part_oid, 0))
where state in ('waiting', 'running') and field is null;
create unique index resyncs_fan_out on walhook.resyncs (slot_name, entity_type, field, hop, coalesce('=' || hop_value, ''))
where state in ('waiting', 'running') and field is not null;
