-- Tenants: decision 0077. A tenant is a text that is not empty; null: everybody's webhooks and tokens, and nobody's entities.
-- events.tenant_before: whose the entity was before this update, where that is known and it was another's; '': nobody's.
alter table walhook.events
  add column tenant text collate "C",
  add column tenant_before text collate "C";

create index events_by_tenant on walhook.events (tenant, id) where tenant is not null;
create index events_by_tenant_before on walhook.events (tenant_before, id) where tenant_before is not null;

-- A webhook keeps its tenant: nothing changes it.
alter table walhook.webhooks add column tenant text collate "C" check (tenant <> '' and length(tenant) <= 200);
alter table walhook.webhook_states add column tenant text collate "C";
create index webhooks_by_tenant on walhook.webhooks (tenant, id) where tenant is not null;

alter table walhook.tokens add column tenant text collate "C" check (tenant <> '' and length(tenant) <= 200);
create index tokens_by_tenant on walhook.tokens (tenant, id) where tenant is not null;

-- Whose the changed thing is, and whose whoever changed it.
alter table walhook.audit
  add column tenant text collate "C",
  add column actor_tenant text collate "C";
create index audit_by_tenant on walhook.audit (tenant, id) where tenant is not null;

create or replace function walhook.note_webhook_state() returns trigger language plpgsql as $$
begin
  delete from walhook.webhook_states where webhook_id = new.id and version = new.changed_in_version;
  insert into walhook.webhook_states
    (webhook_id, version, is_active, disabled_reason, triggers, update_fields, filter, filter_entering, filter_leaving, tenant)
  values (new.id, new.changed_in_version, new.is_active, new.disabled_reason, new.triggers, new.update_fields,
          new.filter, new.filter_entering, new.filter_leaving, new.tenant)
  on conflict (webhook_id, since) do update
    set version = excluded.version, is_active = excluded.is_active, disabled_reason = excluded.disabled_reason,
        triggers = excluded.triggers, update_fields = excluded.update_fields, filter = excluded.filter,
        filter_entering = excluded.filter_entering, filter_leaving = excluded.filter_leaving, tenant = excluded.tenant;
  return null;
end $$;
