-- The names that the columns of captured tables have had, by their numbers, which no DDL changes. A change that is not read yet
-- may be of a time when a column had another name, or was not dropped yet: what the mapping leaves out is left out then, too.
create table walhook.source_columns (
  slot_name     text     collate "C" not null references walhook.positions on update cascade on delete cascade,
  table_oid     bigint   not null,
  attnum        integer  not null,
  column_name   text     collate "C" not null,
  -- As it was called when this was noted last.
  table_schema  text     not null,
  table_name    text     not null,
  -- Whether a mapping has ever left it out.
  is_omitted    boolean  not null,
  primary key (slot_name, table_oid, attnum, column_name)
);

-- A person may give up what can't be read: "walhook resync --force".
alter table walhook.gaps drop constraint gaps_reason_check;
alter table walhook.gaps add constraint gaps_reason_check check (
  case when table_name is null then reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'slot older than publication', 'publication missing',
    'publication remade', 'other cluster', 'other database', 'other history', 'other slot', 'given up')
  else reason in (
    'publication changed', 'table replaced', 'table unpublished', 'table unlogged', 'table unmapped',
    'partition detached')
  end);
