-- A link opens the pages for a tenant, once: decision 0078. It is kept by the SHA-256 of its text, and lasts no longer than the token that
-- made it.
create table walhook.session_links (
  hash       bytea       primary key check (octet_length(hash) = 32),
  token_id   integer     references walhook.tokens (id) on delete cascade,
  token_mac  bytea       check (octet_length(token_mac) = 32),
  tenant     text        collate "C" not null check (tenant <> ''),
  role       text        not null check (role in ('viewer', 'operator', 'admin')),
  name       text        not null,
  user_id    text,
  language   text,
  path       text        not null,
  expires_at timestamptz not null,
  check ((token_id is null) = (token_mac is not null))
);
create index session_links_by_end on walhook.session_links (expires_at);

-- Of a session that a link began: who it is. Null: its token says so.
alter table walhook.sessions
  add column tenant text collate "C",
  add column role text check (role in ('viewer', 'operator', 'admin')),
  add column name text,
  add column user_id text,
  add check (num_nulls(tenant, role, name) in (0, 3));

alter table walhook.audit drop constraint audit_actor_kind_check;
alter table walhook.audit add constraint audit_actor_kind_check
  check (actor_kind in ('token', 'link', 'configuration', 'command line', 'walhook'));
