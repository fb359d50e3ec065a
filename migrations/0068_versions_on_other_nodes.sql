-- Its own function: a cell on another node has one that notifies nobody, since nobody listens there.
create function walhook.notify_webhooks() returns void language sql as $$
  select pg_notify('walhook_outbox', 'webhooks')
$$;

create or replace function walhook.next_webhooks_version() returns integer language plpgsql as $$
declare
  bumped integer;
begin
  update walhook.webhooks_version set version = version + 1
  where xmin <> pg_current_xact_id()::xid returning version into bumped;
  if not found then
    return (select version from walhook.webhooks_version);
  end if;
  perform walhook.notify_webhooks();
  return bumped;
end $$;

-- The version first: a table on another node takes no changing function in an update.
create or replace function walhook.note_skip() returns trigger language plpgsql as $$
declare
  bumped integer := walhook.next_webhooks_version();
begin
  update walhook.webhooks set changed_in_version = bumped where id = new.webhook_id;
  return null;
end $$;
