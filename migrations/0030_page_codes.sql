-- Why a backfill or a resync waits or has failed, as a code beside the reason in words: src/domain/page-failures.ts.
alter table walhook.backfills add column code text;
alter table walhook.resyncs add column code text;

-- A table that was dropped: what receivers know of it is told by nobody.
alter table walhook.gaps drop constraint gaps_reason_check;
alter table walhook.gaps add constraint gaps_reason_check check (
  case when table_name is null then reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'slot older than publication', 'publication missing',
    'publication remade', 'other cluster', 'other database', 'other history', 'other slot', 'given up')
  else reason in (
    'publication changed', 'table replaced', 'table unpublished', 'table unlogged', 'table unmapped',
    'table dropped', 'partition detached')
  end);
