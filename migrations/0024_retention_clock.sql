-- Up to which moment days have been dropped: one row. The database's clock may jump too; nothing is dropped by more than a
-- step beyond what was seen before.
create table walhook.retention_clock (
  is_only boolean primary key default true check (is_only),
  at timestamptz not null
);
