-- Calls that brought an Idempotency-Key, for 24 hours: a second one gets the answer of the first.
create table walhook.idempotency_keys (
  -- The token that called; 0 is WALHOOK_ADMIN_TOKEN.
  holder        integer     not null check (holder >= 0),
  key           text        not null check (length(key) between 1 and 255),
  -- SHA-256 of what was called with what.
  request_hash  bytea       not null check (octet_length(request_hash) = 32),
  created_at    timestamptz not null default now(),
  -- Sealed, for it may hold a signing secret or a token. Null: the call has not ended.
  answer        text        check (answer like 'v1:%'),
  primary key (holder, key)
);

create index idempotency_keys_by_age on walhook.idempotency_keys (created_at);

-- Who is logged in to the pages. Only the SHA-256 of a session's id is kept.
create table walhook.sessions (
  hash        bytea       primary key check (octet_length(hash) = 32),
  -- The token that was logged in with: a session ends with it. Null: WALHOOK_ADMIN_TOKEN, of which token_mac is
  -- made; with another one the session ends.
  token_id    integer     references walhook.tokens on delete cascade,
  token_mac   bytea       check (octet_length(token_mac) = 32),
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  check ((token_id is null) = (token_mac is not null))
);

create index sessions_by_token on walhook.sessions (token_id);
create index sessions_by_end on walhook.sessions (expires_at);
