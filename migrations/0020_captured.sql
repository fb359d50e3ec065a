-- What a slot captures: cluster, database, publication and tables, by the rows of the source's catalogue that say so. What
-- differs at the next look was interrupted in between. See src/domain/captured.ts.
create table walhook.captured (
  slot_name  text         collate "C" primary key references walhook.positions
    on update cascade on delete cascade,
  facts      jsonb        not null,
  -- Where the source's WAL ended when it was last seen to be so; a running walhook sees it later than it notes it here.
  seen_lsn   pg_lsn       not null,
  seen_at    timestamptz  not null default now()
);

-- A gap of one table, in what is told of one entity type; both null: of everything. Its to_lsn is set once the table is
-- captured again, and it ends with a resync of that entity type.
alter table walhook.gaps
  add column entity_type text collate "C",
  add column table_name  text collate "C",
  add check ((entity_type is null) = (table_name is null));

alter table walhook.gaps drop constraint if exists gaps_check;
alter table walhook.gaps add constraint gaps_check check (resynced_at is null or to_lsn is not null);

alter table walhook.gaps drop constraint gaps_reason_check;
alter table walhook.gaps add constraint gaps_reason_check check (
  case when table_name is null then reason in (
    'slot missing', 'slot invalidated', 'slot moved', 'slot older than publication', 'publication missing',
    'publication remade', 'other cluster', 'other database', 'other history', 'other slot')
  else reason in (
    'publication changed', 'table replaced', 'table unpublished', 'table unlogged', 'table unmapped',
    'partition detached')
  end);

drop index walhook.gaps_open;
create unique index gaps_open on walhook.gaps (slot_name, coalesce(entity_type, ''), coalesce(table_name, ''))
where resynced_at is null;
