-- A lease stands beside the time at which a lane is due, and not in it any more: to take one changes no index, so a claim costs about
-- as much before a long queue as before a short one. The pages of `lanes` are left more than half empty, for the version that is leased
-- beside the one before. `lease` gets another name, so that a process of an older version, which would take the lanes that a
-- newer one holds, takes none.
alter table walhook.lanes rename column lease to lease_id;
alter table walhook.lanes add column leased_until timestamptz not null default '-infinity';
update walhook.lanes set leased_until = due_at where lease_id is not null;
alter table walhook.lanes add check ((lease_id is null) = (leased_until = '-infinity'));
alter table walhook.lanes set (fillfactor = 40);
