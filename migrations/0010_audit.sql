-- Who changed what, when, from what to what. Written in the transaction that made the change; never changed.
create table walhook.audit (
  id          bigint      generated always as identity primary key,
  at          timestamptz not null default now(),
  -- token: a stored one; configuration: the holder of WALHOOK_ADMIN_TOKEN; command line: whoever may start
  -- walhook's commands; walhook: itself.
  actor_kind  text        not null check (actor_kind in ('token', 'configuration', 'command line', 'walhook')),
  actor       text        not null,
  token_id    integer,
  -- The user account, in the source database, that the actor was.
  user_id     text,
  action      text        not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
  -- The id of what was changed, of the sort that the action names.
  target_id   text,
  webhook_id  integer,
  -- By field: {"from": …, "to": …}. No secret is in it.
  changes     jsonb       not null default '{}' check (jsonb_typeof(changes) = 'object'),
  check ((actor_kind = 'token') = (token_id is not null))
);

create index audit_by_webhook on walhook.audit (webhook_id, id) where webhook_id is not null;

-- What the holder may do; the tokens that were there could do all.
alter table walhook.tokens add column role text not null default 'admin'
  check (role in ('viewer', 'operator', 'admin'));
alter table walhook.tokens alter column role drop default;
-- From then on it is refused. Null: never.
alter table walhook.tokens add column expires_at timestamptz;

-- Counts the changes by admins: what was read with an older version may have been changed since.
alter table walhook.webhooks add column version integer not null default 1 check (version > 0);
