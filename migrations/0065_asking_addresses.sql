-- What became of asking an address to confirm (the table in domain/alert/recipient.ts). `asked_at` is set once the SMTP server has accepted the email.
alter table walhook.mail_addresses
  -- When an email was last taken to be sent.
  add column taken_at timestamptz,
  -- When emails were sent within a day: tenants and addresses have a limit. A failed one is taken out again.
  add column sent_at timestamptz[] not null default '{}',
  -- Why it is not asked yet; null: it is its turn.
  add column waits_for text,
  add constraint mail_addresses_waits_for check (waits_for in ('public_url', 'daily_limit'));
update walhook.mail_addresses
set taken_at = asked_at, asked_at = case when error is null then asked_at end,
    sent_at = case when error is null and asked_at > now() - interval '1 day' then array[asked_at] else '{}' end
where asked_at is not null;
-- In one of the states.
alter table walhook.mail_addresses add constraint mail_addresses_state
  check (num_nonnulls(ask_at, asked_at, error, confirmed_at, stopped_at) > 0);
drop index walhook.mail_addresses_asked_of_tenant, walhook.mail_addresses_asked;
create index mail_addresses_taken_of_tenant on walhook.mail_addresses (tenant, taken_at);
create index mail_addresses_taken on walhook.mail_addresses (address, taken_at);
