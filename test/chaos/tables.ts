import type { Client } from 'pg'

/** The two mapped tables and the join table, as the application sees them now. */
export type Table = 'users' | 'companies' | 'user_companies'

/** Names that operations change while writers go on: where each table is, and what its key is called. */
export type Names = Record<Table, { table: string; key: string }>

export const usualNames = (): Names => ({
  users: { table: 'public.users', key: 'id' },
  companies: { table: 'public.companies', key: 'id' },
  user_companies: { table: 'public.user_companies', key: 'user_id' },
})

/** The account that walhook connects as: it owns nothing of the application's and may not pass by policies. */
export const role = 'chaos_walhook'
export const rolePassword = 'chaos'

/** `pin` is left out of what is sent: a value of it in an event is a leak. */
export const secretMark = 'PIN-'

/** The mapping file as somebody would write it who knows what tables and keys are called now. */
export function mappingOf(names: Names, hasPin = true): string {
  const { users, companies, user_companies: members } = names
  return `entities:
  user:
    table: ${users.table}
    key: ${users.key}
    fields: { omit: [${hasPin ? 'pin' : ''}] }
    related: { companies: { table: ${members.table}, owner: user_id, value: company_id } }
  company: { table: ${companies.table}, key: ${companies.key} }
`
}

const definitions: Record<Table, string> = {
  users: `create table public.users (
    id integer primary key, v bigint not null, name text, n integer, pin text, story text);
    alter table public.users alter story set storage external`,
  companies: `create table public.companies (id integer primary key, v bigint not null, name text, n integer)`,
  user_companies: `create table public.user_companies (
    user_id integer, company_id integer, v bigint not null, primary key (user_id, company_id))`,
}

/** Makes a table as a migration would, with the trigger that keeps the test's journal. */
export function createTable(table: Table): string {
  return `${definitions[table]};
    create trigger journal after insert or update or delete on public.${table}
      for each row execute function chaos.note('${table}');
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
    do $$ begin
      create role ${role} login replication password '${rolePassword}';
    exception when duplicate_object then null; end $$;
    do $$ begin execute format('grant connect, create on database %I to ${role}', current_database()); end $$;
    grant usage on schema public to ${role};
    ${(['users', 'companies', 'user_companies'] as const).map(createTable).join(';\n')};
    create publication walhook for table public.users, public.companies, public.user_companies
      with (publish_via_partition_root = true);
    create publication chaos_journal for table chaos.journal`)
}

/** Writes down that the rows of a table go without a word in the WAL, in the transaction that drops it. */
export const noteGone = (table: Table, name: string) => `
  insert into chaos.journal (entry)
  select jsonb_build_object('table', '${table}', 'old', to_jsonb(t), 'new', null, 'isSilent', true) from ${name} t`

/**
 * A row with its key under the usual name. While older changes are unread, a key that has another name now may be told
 * under either: receivers find the entity by `entity_id`.
 */
export function underUsualKey<R extends Readonly<Record<string, unknown>> | null>(row: R): R {
  if (row === null || !('uid' in row)) return row
  const { uid, ...rest } = row
  return { id: uid, ...rest } as unknown as R
}
