-- The language of an address' reader; null: unknown (WALHOOK_MAIL_LANGUAGE).
alter table walhook.mail_addresses
  add column language text,
  add constraint mail_addresses_language check (language in ('en', 'nl'));
