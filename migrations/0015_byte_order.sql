-- Names and keys are compared by their bytes, whatever the database's own collation is. That is quicker; an index in byte
-- order stays right when an upgrade of the operating system or of ICU changes how a language sorts; and the order in
-- which lanes are locked is the same on every server. Only indexes are built anew, no table is written.

-- In the order in which statements and transactions take them: so a process of the version before that is still at work
-- waits, where both would wait for each other.
lock table walhook.positions, walhook.webhooks, walhook.lanes, walhook.attempts, walhook.deliveries,
  walhook.ended_deliveries, walhook.events in access exclusive mode;

alter table walhook.events
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.lanes
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.deliveries
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.ended_deliveries
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C",
  alter column state type text collate "C";

alter table walhook.attempts
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.kept_attempts
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.parked_changes
  alter column entity_type type text collate "C",
  alter column entity_id type text collate "C";

alter table walhook.backfills
  alter column slot_name type text collate "C",
  alter column entity_type type text collate "C";

alter table walhook.positions alter column slot_name type text collate "C";
alter table walhook.gaps alter column slot_name type text collate "C";
alter table walhook.idempotency_keys alter column key type text collate "C";
