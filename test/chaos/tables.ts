import type { Client } from 'pg'

/** Three tables of entities, of which one has partitions, and a join table. */
export type Table = 'users' | 'companies' | 'orders' | 'user_companies'
export const tables: readonly Table[] = ['users', 'companies', 'orders', 'user_companies']

/** Names that operations change while writers go on: where each table is, and what its key is called. */
export type Names = Record<Table, { table: string; key: string }>

export const defaultNames = (): Names => ({
  users: { table: 'public.users', key: 'id' },
  companies: { table: 'public.companies', key: 'id' },
  orders: { table: 'public.orders', key: 'id' },
  user_companies: { table: 'public.user_companies', key: 'user_id' },
})

/** The account that walhook connects as: it owns nothing of the application's and may not pass by policies. */
export const role = 'chaos_walhook'
export const rolePassword = 'chaos'

/** `pin` is left out of what is sent: a value of it in an event is a leak. */
export const secretMark = 'PIN-'

/** The mapping file as somebody would write it who knows what tables and keys are called now. */
export function mappingOf(names: Names, hasPin = true): string {
  const { users, companies, orders, user_companies: members } = names
  return `entities:
  user:
    table: ${users.table}
    key: ${users.key}
    fields: { omit: [${hasPin ? 'pin' : ''}] }
    related: { companies: { table: ${members.table}, owner: user_id, value: company_id } }
  company: { table: ${companies.table}, key: ${companies.key}, on_truncate: delete }
  order: { table: ${orders.table}, key: ${orders.key} }
`
}

const definitions: Record<Table, string> = {
  users: `create table public.users (
    id integer primary key, v bigint not null, name text, n integer, pin text, story text);
    alter table public.users alter story set storage external`,
  companies: `create table public.companies (id integer primary key, v bigint not null, name text, n integer)`,
  orders: `create table public.orders (id integer primary key, v bigint not null, name text) partition by range (id);
    create table public.orders_low partition of public.orders for values from (minvalue) to (20);
    create table public.orders_mid partition of public.orders for values from (20) to (40);
    create table public.orders_rest partition of public.orders default`,
  user_companies: `create table public.user_companies (
    user_id integer, company_id integer, v bigint not null, primary key (user_id, company_id))`,
}

/** Makes a table as a migration would, with the trigger that keeps the test's journal. */
export function createTable(table: Table): string {
  return `${definitions[table]};
    create trigger journal after insert or update or delete on public.${table}
      for each row execute function chaos.note('${table}');
    create trigger emptied after truncate on public.${table} execute function chaos.note_emptied('${table}');
    grant select on public.${table} to ${role}`
}

/**
 * A journal that the application's own transactions write by a trigger: whatever walhook must tell is in it, with
 * its values, in the same commit. `v` rises with every write, so that a row's version has a name.
 */
export async function createTables(client: Client): Promise<void> {
  await client.query(`
    create schema chaos;
    create sequence chaos.v;
    create table chaos.journal (seq bigint generated always as identity primary key, entry jsonb not null);
    create function chaos.note() returns trigger language plpgsql security definer
      set search_path = pg_catalog set timezone = 'UTC' as $$
    begin
      insert into chaos.journal (entry) values (jsonb_build_object('table', tg_argv[0],
        'old', case when tg_op <> 'INSERT' then to_jsonb(old) end,
        'new', case when tg_op <> 'DELETE' then to_jsonb(new) end));
      return null;
    end $$;
    create function chaos.note_emptied() returns trigger language plpgsql security definer
      set search_path = pg_catalog as $$
    begin
      insert into chaos.journal (entry) values (jsonb_build_object('table', tg_argv[0], 'old', null, 'new', null));
      return null;
    end $$;
    do $$ begin
      create role ${role} login replication password '${rolePassword}';
    exception when duplicate_object then null; end $$;
    do $$ begin execute format('grant connect, create on database %I to ${role}', current_database()); end $$;
    grant usage on schema public to ${role};
    ${tables.map(createTable).join(';\n')};
    create publication walhook for table ${tables.map(table => `public.${table}`).join(', ')}
      with (publish_via_partition_root = true);
    create publication chaos_journal for table chaos.journal`)
}

/** How rows go or come without a word in the WAL. Those of a partition that is detached are archived: they may stay told. */
export type Silence = 'dropped' | 'detached' | 'attached'

/** Writes down rows that go or come so, in the transaction that does it. */
export const noteSilent = (table: Table, name: string, silence: Silence) => `
  insert into chaos.journal (entry)
  select jsonb_build_object('table', '${table}', 'silence', '${silence}',
    'old', ${silence === 'attached' ? 'null' : 'to_jsonb(t)'},
    'new', ${silence === 'attached' ? 'to_jsonb(t)' : 'null'}) from ${name} t`

/**
 * A row with its key under the usual name. While older changes are unread, a key that has another name now may be told
 * under either: receivers find the entity by `entity_id`.
 */
export function underUsualKey<R extends Readonly<Record<string, unknown>> | null>(row: R): R {
  if (row === null || !('uid' in row)) return row
  const { uid, ...rest } = row
  return { id: uid, ...rest } as unknown as R
}
