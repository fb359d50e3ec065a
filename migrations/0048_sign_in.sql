-- Sign-in by OpenID Connect: decision 0083. Of such a session: who it is at the provider, and its ID token, sealed, with which the
-- browser ends its session there. token_mac: the provider and the mapping of claims by which it began; with others, it has ended.
alter table walhook.sessions
  add column subject text check (subject <> ''),
  add column id_token text,
  drop constraint sessions_check1,
  add check (num_nulls(role, name) in (0, 2)),
  add check (tenant is null or role is not null),
  add check (subject is null or (token_id is null and role is not null)),
  add check (role is null or tenant is not null or subject is not null),
  add check (id_token is null or subject is not null);

-- What a browser brings back from the provider starts a session once, whichever process it comes to.
create table walhook.used_sign_ins (
  state_hash bytea       primary key check (octet_length(state_hash) = 32),
  expires_at timestamptz not null
);
create index used_sign_ins_by_end on walhook.used_sign_ins (expires_at);

-- Not checked for the records that there are, of which the constraint before let in fewer kinds: that would take as long as they are many.
alter table walhook.audit drop constraint audit_actor_kind_check;
alter table walhook.audit add constraint audit_actor_kind_check
  check (actor_kind in ('token', 'link', 'oidc', 'configuration', 'command line', 'walhook')) not valid;
