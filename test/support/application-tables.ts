/**
 * Tables as four applications make them, with rows of our own. `steps` are told one by one; `writes` are what goes on in the
 * background, by a random number; `lose` changes rows while nobody captures.
 */
export type Application = {
  readonly name: string
  readonly tables: string
  readonly steps: readonly (readonly [sql: string, events: readonly string[]])[]
  readonly write: (some: (max: number) => number) => string
  readonly migration: string
  readonly lose: string
}

const json = (value: unknown) => JSON.stringify(value)
const eventLine = (type: string, id: unknown, action: string, values?: object) =>
  [type, json(id), action, ...(values ? [json(values)] : [])].join(' ')

const payloadUser = (id: number, email: string, rest: object) => ({
  ...{ id, email, name: 'n', created: '2026-01-02T03:04:05Z' },
  ...{ roles: [], companies: [], company_names: [], ...rest },
})

const payload: Application = {
  name: 'Payload',
  tables: `
    create type enum_users_roles as enum ('admin', 'editor');
    create type enum_users_status as enum ('draft', 'published');
    create table users (id serial primary key, name varchar, updated_at timestamptz(3) default now() not null,
      created_at timestamptz(3) default '2026-01-02 03:04:05Z' not null, deleted_at timestamptz(3), _status enum_users_status default 'draft',
      email varchar not null, reset_password_token varchar, reset_password_expiration timestamptz(3), salt varchar,
      hash varchar, login_attempts numeric default 0, lock_until timestamptz(3));
    create table companies (id serial primary key, name varchar, updated_at timestamptz(3) default now() not null);
    create table media (id serial primary key, url varchar);
    create table users_roles ("order" integer not null, parent_id integer not null references users on delete cascade,
      value enum_users_roles, id serial primary key);
    create table users_rels (id serial primary key, "order" integer, parent_id integer not null references users on delete cascade,
      path varchar not null, companies_id integer references companies on delete cascade, media_id integer references media on delete cascade);
    create index on users_rels (companies_id);
    insert into companies (name) values ('Acme'), ('Beta'); insert into media (url) values ('x')`,
  steps: [
    [
      `begin; insert into users (name, email, _status, hash, salt) values ('n', 'a@x', 'published', 'h', 's');
       insert into users_roles ("order", parent_id, value) values (2, 1, 'admin'), (1, 1, 'editor');
       insert into users_rels ("order", parent_id, path, companies_id, media_id) values (1, 1, 'companies', 2, null), (2, 1, 'companies', 1, null), (1, 1, 'avatar', null, 1); commit`,
      [
        eventLine(
          'user',
          1,
          'new',
          payloadUser(1, 'a@x', {
            roles: ['editor', 'admin'],
            companies: [2, 1],
            company_names: ['Beta', 'Acme'],
          }),
        ),
      ],
    ],
    [`insert into users (name, email) values ('n', 'draft@x')`, []],
    [`update users set login_attempts = 1, hash = 'other', updated_at = now() where id = 1`, []],
    // As a save does that changes nothing of it.
    [
      `begin; delete from users_rels where parent_id = 1 and path = 'companies';
       insert into users_rels ("order", parent_id, path, companies_id) values (1, 1, 'companies', 2), (2, 1, 'companies', 1); commit`,
      [],
    ],
    [
      `update companies set name = 'Acme 2' where id = 1`,
      [
        eventLine('company', 1, 'update', { id: 1, name: 'Acme 2' }),
        eventLine(
          'user',
          1,
          'update',
          payloadUser(1, 'a@x', {
            roles: ['editor', 'admin'],
            companies: [2, 1],
            company_names: ['Beta', 'Acme 2'],
          }),
        ),
      ],
    ],
    [
      `update users set deleted_at = now() where id = 1`,
      [eventLine('user', 1, 'delete', { id: 1, email: 'a@x' })],
    ],
    [`update users set name = 'm' where id = 1`, []],
    [
      `update users set _status = 'published' where id = 2`,
      [eventLine('user', 2, 'new', payloadUser(2, 'draft@x', {}))],
    ],
    [`delete from users where id = 2`, [eventLine('user', 2, 'delete', { id: 2, email: 'draft@x' })]],
    [`delete from users where id = 1`, []],
  ],
  write: some =>
    [
      `insert into users (name, email, _status, deleted_at) values ('n', 'e${some(99)}', '${some(3) > 1 ? 'published' : 'draft'}', ${some(4) > 3 ? 'now()' : 'null'})`,
      `update users set name = 'n${some(99)}', deleted_at = ${some(2) > 1 ? 'now()' : 'null'} where id % 5 = ${some(5) - 1}`,
      `update users set _status = '${some(2) > 1 ? 'published' : 'draft'}' where id % 5 = ${some(5) - 1}`,
      `insert into users_rels ("order", parent_id, path, companies_id) select ${some(5)}, id, '${some(2) > 1 ? 'companies' : 'avatar'}', ${some(2)} from users where id % 4 = ${some(4) - 1}`,
      `delete from users_rels where id % 3 = ${some(3) - 1}`,
      `update companies set name = 'c${some(99)}' where id = ${some(2)}`,
      `delete from users where id % 7 = ${some(7) - 1}`,
    ][some(7) - 1]!,
  migration:
    "alter table users add column phone varchar default '1'; update users set phone = '2', name = 'after'",
  lose: `delete from users where id % 2 = 0; update users set deleted_at = now() where id % 3 = 0; update users set name = 'lost' where id % 5 = 0`,
}

const djangoUser = (id: number, username: string, rest: object) => ({
  ...{
    id,
    username,
    first_name: 'A',
    last_name: 'B',
    email: 'e',
    date_joined: '2026-01-02T03:04:05Z',
    source: 'django',
  },
  ...rest,
})

const django: Application = {
  name: 'Django',
  tables: `
    create table auth_user (id integer generated by default as identity primary key, password varchar(128) not null default 'x', last_login timestamptz,
      is_superuser boolean not null default false, username varchar(150) not null unique, first_name varchar(150) not null default 'A', last_name varchar(150) not null default 'B',
      email varchar(254) not null default 'e', is_staff boolean not null default false, is_active boolean not null default true,
      date_joined timestamptz not null default '2026-01-02 03:04:05Z');
    create table auth_group (id integer generated by default as identity primary key, name varchar(150) not null unique);
    create table auth_user_groups (id bigint generated by default as identity primary key, user_id integer not null references auth_user deferrable initially deferred,
      group_id integer not null references auth_group deferrable initially deferred, unique (user_id, group_id));
    create index on auth_user_groups (group_id);
    insert into auth_group (name) values ('staff'), ('editors')`,
  steps: [
    [
      `begin; insert into auth_user (username) values ('ada'); insert into auth_user_groups (user_id, group_id) values (1, 2), (1, 1); commit`,
      [
        eventLine(
          'user',
          1,
          'new',
          djangoUser(1, 'ada', { group_ids: [1, 2], groups: ['editors', 'staff'] }),
        ),
      ],
    ],
    [`update auth_user set last_login = now()`, []],
    [`insert into auth_user (username, is_superuser) values ('root', true)`, []],
    [
      `begin; delete from auth_user_groups where user_id = 1; insert into auth_user_groups (user_id, group_id) values (1, 1); commit`,
      [eventLine('user', 1, 'update', djangoUser(1, 'ada', { group_ids: [1], groups: ['staff'] }))],
    ],
    [
      `update auth_group set name = 'crew' where id = 1`,
      [
        eventLine('group', 1, 'update', { id: 1, name: 'crew' }),
        eventLine('user', 1, 'update', djangoUser(1, 'ada', { group_ids: [1], groups: ['crew'] })),
      ],
    ],
    [
      `update auth_user set is_active = false where id = 1`,
      [eventLine('user', 1, 'delete', djangoUser(1, 'ada', {}))],
    ],
    [
      `update auth_user set is_active = true where id = 1`,
      [eventLine('user', 1, 'new', djangoUser(1, 'ada', { group_ids: [1], groups: ['crew'] }))],
    ],
    [
      `begin; delete from auth_user_groups where user_id = 1; delete from auth_user where id = 1; commit`,
      [eventLine('user', 1, 'delete', djangoUser(1, 'ada', {}))],
    ],
  ],
  write: some =>
    [
      `insert into auth_user (username, is_superuser, is_active) values ('u${some(1_000_000)}', ${some(4) > 3}, ${some(4) > 1}) on conflict do nothing`,
      `update auth_user set first_name = 'f${some(99)}', is_active = ${some(3) > 1} where id % 5 = ${some(5) - 1}`,
      `insert into auth_user_groups (user_id, group_id) select id, ${some(2)} from auth_user where id % 4 = ${some(4) - 1} on conflict do nothing`,
      `delete from auth_user_groups where user_id % 4 = ${some(4) - 1}`,
      `update auth_group set name = name || '${some(9)}' where id = ${some(2)} and length(name) < 100`,
      `begin; delete from auth_user_groups where user_id % 7 = 3; delete from auth_user where id % 7 = 3; commit`,
    ][some(6) - 1]!,
  migration: `alter table auth_user add column phone text default '1'; update auth_user set phone = '2', first_name = 'after'`,
  lose: `delete from auth_user_groups; delete from auth_user where id % 2 = 0; update auth_user set is_active = false where id % 3 = 0`,
}

const uuid = (n: number) => `00000000-0000-4000-8000-00000000000${n}`
const directusUser = (n: number, rest: object) => ({
  ...{
    id: uuid(n),
    first_name: 'A',
    last_name: null,
    email: 'e',
    language: null,
    status: 'active',
    role: uuid(9),
  },
  ...{ role_name: 'Editors', ...rest },
})

const directus: Application = {
  name: 'Directus',
  tables: `
    create table directus_roles (id uuid primary key, name varchar(100) not null, icon varchar(64) not null default 'x', description text, parent uuid references directus_roles);
    create table directus_users (id uuid primary key, first_name varchar(50) default 'A', last_name varchar(50), email varchar(128) default 'e', password varchar(255),
      location varchar(255), title varchar(50), description text, tags json, avatar uuid, language varchar(255) default null, tfa_secret varchar(255),
      status varchar(16) not null default 'active', role uuid references directus_roles on delete set null, token varchar(255) unique, last_access timestamptz,
      last_page varchar(255), provider varchar(128) not null default 'default', external_identifier varchar(255), auth_data json,
      email_notifications boolean default true, appearance varchar(255), theme_dark varchar(255), text_direction varchar(255) not null default 'auto');
    create index on directus_users (role);
    insert into directus_roles (id, name) values ('${uuid(9)}', 'Editors'), ('${uuid(8)}', 'Admins')`,
  steps: [
    [
      `insert into directus_users (id, role, password, token) values ('${uuid(1)}', '${uuid(9)}', 'p', 't')`,
      [eventLine('user', uuid(1), 'new', directusUser(1, {}))],
    ],
    [`insert into directus_users (id, status) values ('${uuid(2)}', 'invited')`, []],
    [`update directus_users set last_access = now(), last_page = '/x', password = 'q'`, []],
    [
      `update directus_roles set name = 'Writers' where id = '${uuid(9)}'`,
      [
        eventLine('role', uuid(9), 'update', { id: uuid(9), name: 'Writers' }),
        eventLine('user', uuid(1), 'update', directusUser(1, { role_name: 'Writers' })),
      ],
    ],
    [
      `update directus_users set role = '${uuid(8)}' where id = '${uuid(1)}'`,
      [eventLine('user', uuid(1), 'update', directusUser(1, { role: uuid(8), role_name: 'Admins' }))],
    ],
    [
      `update directus_users set status = 'suspended' where id = '${uuid(1)}'`,
      [eventLine('user', uuid(1), 'delete', { id: uuid(1), email: 'e' })],
    ],
    [
      `update directus_users set status = 'active' where id = '${uuid(2)}'`,
      [eventLine('user', uuid(2), 'new', directusUser(2, { role: null, role_name: null }))],
    ],
    [`delete from directus_users`, [eventLine('user', uuid(2), 'delete', { id: uuid(2), email: 'e' })]],
  ],
  write: some =>
    [
      `insert into directus_users (id, status, role) values (gen_random_uuid(), '${['active', 'draft', 'suspended'][some(3) - 1]}', '${uuid(7 + some(2))}')`,
      `update directus_users set first_name = 'f${some(99)}', status = '${['active', 'invited', 'archived'][some(3) - 1]}' where id::text < '${some(9)}'`,
      `update directus_users set role = ${some(3) > 1 ? `'${uuid(7 + some(2))}'` : 'null'} where id::text > '${some(9)}'`,
      `update directus_roles set name = 'r${some(99)}' where id = '${uuid(7 + some(2))}'`,
      `delete from directus_users where id::text like '${some(9)}%'`,
    ][some(5) - 1]!,
  migration: `alter table directus_users add column phone text default '1'; update directus_users set phone = '2', first_name = 'after'`,
  lose: `delete from directus_users where id::text < '5'; update directus_users set status = 'archived' where id::text > 'c'; update directus_users set first_name = 'lost'`,
}

const keycloakUser = (id: string, rest: object) => ({
  ...{ id, username: id, email: 'e', email_verified: true, first_name: null, last_name: null },
  ...{ created_timestamp: '2026-01-02T03:04:05Z', ...rest },
})

const keycloak: Application = {
  name: 'Keycloak',
  tables: `
    create table user_entity (id varchar(36) primary key, email varchar(255) default 'e', email_constraint varchar(255), email_verified boolean not null default true,
      enabled boolean not null default true, federation_link varchar(255), first_name varchar(255), last_name varchar(255), realm_id varchar(255) default 'shop',
      username varchar(255), created_timestamp bigint default 1767323045000, service_account_client_link varchar(255), not_before integer not null default 0);
    create table keycloak_group (id varchar(36) primary key, name varchar(255), parent_group varchar(36) not null default ' ', realm_id varchar(36) default 'shop');
    create table user_attribute (name varchar(255) not null, value varchar(255), user_id varchar(36) not null references user_entity,
      id varchar(36) primary key default gen_random_uuid()::text, long_value_hash bytea, long_value_hash_lower_case bytea, long_value text);
    create table user_group_membership (group_id varchar(36) not null, user_id varchar(36) not null references user_entity, membership_type varchar(255) not null default 'x',
      primary key (group_id, user_id));
    create index on user_group_membership (group_id);
    insert into keycloak_group (id, name) values ('g1', 'staff'), ('g2', 'crew')`,
  steps: [
    [
      `begin; insert into user_entity (id, username) values ('u1', 'u1'); insert into user_attribute (name, value, user_id) values ('tag', 'a', 'u1'), ('tag', 'b', 'u1');
       insert into user_group_membership (group_id, user_id) values ('g1', 'u1'); commit`,
      [
        eventLine(
          'user',
          'u1',
          'new',
          keycloakUser('u1', { attributes: { tag: ['a', 'b'] }, groups: ['staff'] }),
        ),
        eventLine('membership', 'u1,g1', 'new', { user_id: 'u1', group_id: 'g1' }),
      ],
    ],
    [`insert into user_entity (id, username, realm_id) values ('u2', 'u2', 'other')`, []],
    [`insert into user_entity (id, username, service_account_client_link) values ('u3', 'u3', 'c')`, []],
    [`update user_entity set not_before = 1`, []],
    [
      `update keycloak_group set name = 'team' where id = 'g1'`,
      [
        eventLine('group', 'g1', 'update', { id: 'g1', name: 'team' }),
        eventLine(
          'user',
          'u1',
          'update',
          keycloakUser('u1', { attributes: { tag: ['a', 'b'] }, groups: ['team'] }),
        ),
      ],
    ],
    [
      `update user_group_membership set group_id = 'g2' where user_id = 'u1'`,
      [
        eventLine('membership', 'u1,g1', 'delete', { user_id: 'u1', group_id: 'g1' }),
        eventLine('membership', 'u1,g2', 'new', { user_id: 'u1', group_id: 'g2' }),
        eventLine(
          'user',
          'u1',
          'update',
          keycloakUser('u1', { attributes: { tag: ['a', 'b'] }, groups: ['crew'] }),
        ),
      ],
    ],
    [
      `update user_entity set enabled = false where id = 'u1'`,
      [eventLine('user', 'u1', 'delete', keycloakUser('u1', {}))],
    ],
    [
      `begin; delete from user_attribute where user_id = 'u1'; delete from user_group_membership where user_id = 'u1'; delete from user_entity where id = 'u1'; commit`,
      [eventLine('membership', 'u1,g2', 'delete', { user_id: 'u1', group_id: 'g2' })],
    ],
  ],
  write: some =>
    [
      `insert into user_entity (id, username, realm_id, enabled) values ('k${some(50)}', 'n', '${some(4) > 3 ? 'other' : 'shop'}', ${some(4) > 1}) on conflict do nothing`,
      `update user_entity set first_name = 'f${some(99)}', enabled = ${some(3) > 1} where id like '%${some(10) - 1}'`,
      `update user_entity set realm_id = '${some(3) > 2 ? 'other' : 'shop'}' where id like '%${some(10) - 1}'`,
      `insert into user_attribute (name, value, user_id) select 'n${some(2)}', 'v${some(9)}', id from user_entity where id like '%${some(10) - 1}'`,
      `delete from user_attribute where user_id like '%${some(10) - 1}'`,
      `insert into user_group_membership (group_id, user_id) select 'g${some(2)}', id from user_entity where id like '%${some(10) - 1}' on conflict do nothing`,
      `delete from user_group_membership where user_id like '%${some(10) - 1}'`,
      `update keycloak_group set name = 'g${some(99)}' where id = 'g${some(2)}'`,
    ][some(8) - 1]!,
  migration: `alter table user_entity add column phone text default '1'; update user_entity set phone = '2', first_name = 'after'`,
  lose: `delete from user_attribute; delete from user_group_membership where user_id < 'k3'; update user_entity set enabled = false where id like '%3'; update user_entity set first_name = 'lost'`,
}

export const applications = [payload, django, directus, keycloak]
