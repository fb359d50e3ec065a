-- The end of the source's WAL when something that events tell was last read from its tables. Events of transactions
-- before it may follow an event that tells something newer: a process that begins reads their rows from the tables too.
alter table walhook.positions add column read_lsn pg_lsn;
