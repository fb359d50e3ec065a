-- A cell whose database was set back to an earlier time, and lacks events that main has dropped since (decision 0092).
alter table walhook.gaps drop constraint gaps_reason_check;
alter table walhook.gaps add constraint gaps_reason_check check (
  case when table_name is null then reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'slot older than publication', 'publication missing',
    'publication remade', 'other cluster', 'other database', 'other history', 'other slot', 'given up', 'cell set back')
  else reason in (
    'publication changed', 'table replaced', 'table unpublished', 'table unlogged', 'table unmapped',
    'table dropped', 'partition detached', 'partition rewritten', 'rows unreadable')
  end);
