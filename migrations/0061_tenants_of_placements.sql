-- Whose a webhook in a cell is: a tenant learns only of the cells that have webhooks of it.
alter table walhook.placements add column tenant text collate "C";
create index placements_by_tenant on walhook.placements (tenant) where tenant is not null;
