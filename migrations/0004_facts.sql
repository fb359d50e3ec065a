-- What an event knows beyond its body; null where that is nothing.
alter table walhook.events
  -- A JSON object: the values before of fields that an update changed, in the bytes in which receivers get it.
  add column previous text,
  -- The fields that an update changed; null where that is not known.
  add column changed  text[],
  -- Fields that the body lacks, because their value could not be known any more.
  add column omitted  text[];

-- What a webhook asks for beyond the body, and which updates it wants.
alter table walhook.webhooks
  add column previous       boolean not null default false,
  -- As user.email. Of an entity type that is named, only updates that change one of its fields; null: every update.
  add column update_fields  text[] check (array_position(update_fields, null) is null and cardinality(update_fields) > 0);

-- Whether the body is sent with what the event knows beyond it: as the webhook wanted it when the delivery was made,
-- so that each retry sends the same bytes.
alter table walhook.deliveries add column with_previous boolean not null default false;

-- The same of the request that was sent.
alter table walhook.attempts add column with_previous boolean not null default false;
