-- The columns that an entity's table had when walhook looked last: one that is not among them is new.
create table walhook.known_columns (
  slot_name text collate "C" not null,
  entity_type text collate "C" not null,
  table_name text collate "C" not null,
  columns text[] not null check (array_position(columns, null) is null),
  primary key (slot_name, entity_type, table_name)
);
