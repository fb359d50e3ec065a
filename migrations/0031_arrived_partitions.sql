-- A partition that came into a captured table after the last look may have come with rows. Whoever captures reads them, and tells
-- what receivers do not have yet: a resync of that partition alone, which mends no gap.
alter table walhook.resyncs
  -- The table into which it came: the entity's own, or a related one. All three are null of a resync of everything.
  add column table_name text collate "C",
  add column part_oid   bigint,
  add column part_name  text collate "C",
  add check ((table_name is null) = (part_oid is null) and (part_oid is null) = (part_name is null));

alter table walhook.resyncs drop constraint resyncs_gap_ids_check;
alter table walhook.resyncs add constraint resyncs_gap_ids_check check ((cardinality(gap_ids) > 0) = (part_oid is null));

drop index walhook.resyncs_open;
create unique index resyncs_open on walhook.resyncs (slot_name, entity_type, coalesce(table_name, ''), coalesce(part_oid, 0))
where state in ('waiting', 'running');

-- What is gone is looked for backwards by its ids: what was begun forwards begins anew.
update walhook.resyncs set after_key = null where phase = 'deletes' and state = 'running';

-- With seen_lsn: every transaction of the source below this id had ended.
alter table walhook.captured add column seen_xid bigint;

-- A partition whose file is another one may have been emptied, or unlogged for a while.
alter table walhook.gaps drop constraint gaps_reason_check;
alter table walhook.gaps add constraint gaps_reason_check check (
  case when table_name is null then reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'slot older than publication', 'publication missing',
    'publication remade', 'other cluster', 'other database', 'other history', 'other slot', 'given up')
  else reason in (
    'publication changed', 'table replaced', 'table unpublished', 'table unlogged', 'table unmapped',
    'table dropped', 'partition detached', 'partition rewritten')
  end);
