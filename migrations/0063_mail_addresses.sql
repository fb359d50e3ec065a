-- Addresses that get alerts about webhooks of a tenant once they are confirmed (decision 0096). Of use in the main outbox only.
create table walhook.mail_addresses (
  id           integer     generated always as identity,
  tenant       text        collate "C" not null,
  -- In lower case.
  address      text        collate "C" not null,
  -- When it is asked to confirm; null: not again by itself.
  ask_at       timestamptz default now(),
  attempts     integer     not null default 0,
  asked_at     timestamptz,
  error        text,
  confirmed_at timestamptz,
  -- By its owner.
  stopped_at   timestamptz,
  constraint mail_addresses_pkey primary key (id),
  constraint mail_addresses_of unique (tenant, address),
  constraint mail_addresses_attempts check (attempts >= 0)
);
create index mail_addresses_to_ask on walhook.mail_addresses (ask_at) where ask_at is not null;
create index mail_addresses_asked_of_tenant on walhook.mail_addresses (tenant, asked_at);
create index mail_addresses_asked on walhook.mail_addresses (address, asked_at);

-- Those of before are asked.
insert into walhook.mail_addresses (tenant, address)
select distinct tenant, lower(address) from walhook.webhooks cross join unnest(alert_to) address where tenant is not null;
