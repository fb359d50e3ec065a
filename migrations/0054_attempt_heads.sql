-- What the attempts of a webhook have in common is stored once, and the times of their phases as numbers: decision 0093.
create table walhook.attempt_heads (
  webhook_id       integer     not null,
  -- Of everything below, by SHA-256.
  id               bigint      not null,
  url              text        not null,
  -- A header that is null has a value of its own in each attempt: `own_headers`.
  request_headers  jsonb       not null check (jsonb_typeof(request_headers) = 'object'),
  -- Of the answers; null: none came. All other headers are the attempt's.
  response_headers jsonb       check (jsonb_typeof(response_headers) = 'object'),
  -- No attempt that is logged later refers to it.
  used_until       timestamptz not null,
  primary key (webhook_id, id)
);

-- An attempt has a head, or a URL and all headers of its own, as those of the versions before. Its message id is null where its event
-- says it.
alter table walhook.attempts
  alter column url drop not null,
  alter column request_headers drop not null,
  alter column message_id drop not null,
  add column head_id bigint,
  add column dns_ms real,
  add column connect_ms real,
  add column tls_ms real,
  add column first_byte_ms real,
  add column body_ms real,
  add column own_headers text,
  add check (num_nulls(head_id, url) = 1 and num_nulls(head_id, request_headers) = 1) not valid,
  add check (message_id is not null or event_id is not null) not valid;
alter table walhook.kept_attempts
  alter column url drop not null,
  alter column request_headers drop not null,
  alter column message_id drop not null,
  add column head_id bigint,
  add column dns_ms real,
  add column connect_ms real,
  add column tls_ms real,
  add column first_byte_ms real,
  add column body_ms real,
  add column own_headers text;
