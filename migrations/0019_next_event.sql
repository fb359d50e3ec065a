-- The oldest delivery of a lane, where it is known; null: look for it. To look reads a whole page of the primary key where an
-- entity has many waiting.
alter table walhook.lanes add column next_event_id bigint;
