import { type At, type Operation, pick, statements } from '../operation.ts'
import { createTable, noteSilent, role, type Table, tables } from '../tables.ts'

/** Moves a table's name with what the writers believe; the way back does the same. */
async function move(at: At, table: Table, to: string, sql: string, back: string) {
  const names = at.names[table]
  const from = names.table
  await at.sql(sql)
  names.table = to
  return {
    did: sql,
    async undo() {
      if (names.table !== to) return
      await at.sql(back)
      names.table = from
    },
  }
}

/** What migrations do to whole tables and their keys, and what a policy or a right takes from walhook. */
export const tableOperations: readonly Operation[] = [
  {
    name: 'rename a table',
    weight: 2,
    async run(at) {
      const table = pick(at.random, tables)
      if (at.names[table].table !== `public.${table}`) return null
      const other = `${table}_old`
      return await move(
        at,
        table,
        `public.${other}`,
        `alter table public.${table} rename to ${other}`,
        `alter table public.${other} rename to ${table}`,
      )
    },
  },
  {
    name: 'move a table to another schema',
    weight: 1,
    async run(at) {
      const table = pick(at.random, tables)
      if (at.names[table].table !== `public.${table}`) return null
      await at.sql('create schema if not exists archive', `grant usage on schema archive to ${role}`)
      return await move(
        at,
        table,
        `archive.${table}`,
        `alter table public.${table} set schema archive`,
        `alter table archive.${table} set schema public`,
      )
    },
  },
  {
    name: 'rename the key',
    weight: 2,
    async run(at) {
      const table = pick(at.random, ['users', 'companies', 'orders'] as const)
      const names = at.names[table]
      if (names.key !== 'id') return null
      await at.sql(`alter table ${names.table} rename column id to uid`)
      names.key = 'uid'
      return {
        did: `the key of ${table} is called uid`,
        async undo() {
          await at.sql(`alter table ${names.table} rename column uid to id`)
          names.key = 'id'
        },
      }
    },
  },
  {
    name: 'rename the key and back',
    weight: 2,
    async run(at) {
      const table = pick(at.random, ['users', 'companies', 'orders'] as const)
      const names = at.names[table]
      if (names.key !== 'id') return null
      await at.sql(`alter table ${names.table} rename column id to uid`)
      names.key = 'uid'
      await new Promise(resolve => setTimeout(resolve, at.random() * 1_500))
      await at.sql(`alter table ${names.table} rename column uid to id`)
      names.key = 'id'
      return { did: `the key of ${table} was called uid for a while` }
    },
  },
  {
    name: 'make a table anew',
    weight: 2,
    async run(at) {
      const table = pick(at.random, tables)
      if (
        at.names[table].table !== `public.${table}` ||
        at.names[table].key !== (table === 'user_companies' ? 'user_id' : 'id')
      )
        return null
      await at.sql(
        'begin',
        `lock table public.${table} in access exclusive mode`,
        noteSilent(table, `public.${table}`, 'dropped'),
        `drop table public.${table}`,
        ...(table === 'orders' ? ['drop table if exists public.orders_low, public.orders_mid'] : []),
        `drop table if exists public.${table}_old`,
        createTable(table),
        'commit',
      )
      const isPublished = at.random() < 0.5
      if (isPublished) await at.sql(`alter publication walhook add table public.${table}`)
      return { did: `${table} was dropped and created${isPublished ? ', and is published' : ''}` }
    },
  },
  {
    name: 'a new primary key',
    weight: 1,
    async run(at) {
      const { table, key } = at.names.companies
      const [{ conname }] = (await at.sql(
        `select conname from pg_constraint where conrelid = '${table}'::regclass and contype = 'p'`,
      )) as [{ conname: string }]
      await at.sql(
        'begin',
        `alter table ${table} drop constraint "${conname}"`,
        `alter table ${table} add primary key (${key})`,
        'commit',
      )
      return { did: `the primary key of ${table} was made anew` }
    },
  },
  {
    name: 'detach a partition',
    weight: 2,
    async run(at) {
      if (at.names.orders.table !== 'public.orders') return null
      const part = pick(at.random, ['orders_low', 'orders_mid'])
      if (await isSilentUnseen(at, part)) return null
      const range = part === 'orders_low' ? 'from (minvalue) to (20)' : 'from (20) to (40)'
      await at.sql(
        'begin',
        'lock table public.orders in access exclusive mode',
        noteSilent('orders', `public.${part}`, 'detached'),
        `alter table public.orders detach partition public.${part}`,
        'commit',
      )
      const attach = async () => {
        await at.sql(
          'begin',
          'lock table public.orders in access exclusive mode',
          // Where they were, others may be by now.
          `delete from public.orders where ${at.names.orders.key} in (select ${at.names.orders.key} from public.${part})`,
          `with moved as (delete from public.orders_rest where ${at.names.orders.key} ${part === 'orders_low' ? '< 20' : 'between 20 and 39'} returning *) select from moved`,
          noteSilent('orders', `public.${part}`, 'attached'),
          `alter table public.orders attach partition public.${part} for values ${range}`,
          'commit',
        )
      }
      if (at.random() < 0.5) return { did: `${part} detached`, undo: attach }
      await new Promise(resolve => setTimeout(resolve, at.random() * 1_500))
      await attach()
      return { did: `${part} was detached for a while` }
    },
  },
  {
    name: 'put another partition in the place of one',
    weight: 2,
    async run(at) {
      const { table, key } = at.names.orders
      if (table !== 'public.orders') return null
      const part = pick(at.random, ['orders_low', 'orders_mid'])
      if (await isSilentUnseen(at, part)) return null
      const range = part === 'orders_low' ? 'from (minvalue) to (20)' : 'from (20) to (40)'
      const id = part === 'orders_low' ? 3 : 23
      await at.sql(
        'begin',
        'lock table public.orders in access exclusive mode',
        noteSilent('orders', `public.${part}`, 'detached'),
        `create table public.orders_copy (like public.${part} including all)`,
        `insert into public.orders_copy select * from public.${part} where ${key} % 5 <> 0`,
        `update public.orders_copy set v = nextval('chaos.v'), name = 'copied' where ${key} % 2 = 0`,
        `insert into public.orders_copy (${key}, v, name) values (${id}, nextval('chaos.v'), 'loaded')
         on conflict (${key}) do nothing`,
        `alter table public.orders detach partition public.${part}`,
        `drop table public.${part}`,
        `alter table public.orders_copy rename to ${part}`,
        noteSilent('orders', `public.${part}`, 'attached'),
        `alter table public.orders attach partition public.${part} for values ${range}`,
        'commit',
      )
      return { did: `${part} is another one, with other rows` }
    },
  },
  {
    name: 'empty a partition',
    weight: 1,
    async run(at) {
      if (at.names.orders.table !== 'public.orders') return null
      const part = pick(at.random, ['orders_low', 'orders_mid', 'orders_rest'])
      await at.sql(
        'begin',
        `lock table public.${part} in access exclusive mode`,
        noteSilent('orders', `public.${part}`, 'dropped'),
        `truncate public.${part}`,
        `comment on table public.${part} is 'changed in silence'`,
        'commit',
      )
      return { did: `truncate ${part}` }
    },
  },
  {
    name: 'unlog a partition',
    weight: 1,
    async run(at) {
      const part = pick(at.random, ['orders_low', 'orders_mid'])
      await at.sql(
        `alter table public.${part} set unlogged`,
        `comment on table public.${part} is 'changed in silence'`,
      )
      const log = () => at.sql(`alter table public.${part} set logged`)
      if (at.random() < 0.3) return { did: `${part} is unlogged`, undo: log }
      await new Promise(resolve => setTimeout(resolve, at.random() * 1_500))
      await log()
      return { did: `${part} was unlogged for a while` }
    },
  },
  statements('rewrite a partition', 1, at => {
    const part = pick(at.random, ['orders_low', 'orders_mid', 'orders_rest'])
    return [[`vacuum full public.${part}`], [`cluster public.${part} using ${part}_pkey`]]
  }),
  {
    name: 'truncate a table',
    weight: 1,
    async run(at) {
      await at.sql(`truncate ${at.names.companies.table}`)
      return { did: 'companies, whose deletes the mapping wants' }
    },
  },
  statements(
    'row level security',
    2,
    at => {
      const { table } = at.names[pick(at.random, tables)]
      const off = `drop policy if exists p on ${table}; alter table ${table} disable row level security; alter role ${role} nobypassrls`
      return [
        [`alter table ${table} enable row level security`, off],
        [
          `create policy p on ${table} using (v % 2 = 0); alter table ${table} enable row level security`,
          off,
        ],
        [
          `create policy p on ${table} using (current_setting('app.tenant') = 'x'); alter table ${table} enable row level security`,
          off,
        ],
      ]
    },
    { isTemporary: true },
  ),
  statements(
    'take a right away',
    2,
    at => {
      const { table } = at.names[pick(at.random, tables)]
      return [
        [`revoke select on ${table} from ${role}`, `grant select on ${table} to ${role}`],
        [
          `revoke all on schema public from public, ${role}`,
          `grant usage on schema public to public, ${role}`,
        ],
        [`alter role ${role} noreplication`, `alter role ${role} replication`],
        [`alter role ${role} connection limit 3`, `alter role ${role} connection limit -1`],
      ]
    },
    { isTemporary: true },
  ),
]

/**
 * Whether a partition was emptied, or written to while it was unlogged, and walhook has not looked since. Where it leaves its table now,
 * nobody can know what was in it: to walhook its rows are archived (decision 0041).
 */
async function isSilentUnseen(at: At, part: string): Promise<boolean> {
  const [row] = await at.sql(
    `select obj_description(c.oid, 'pg_class') is not null and (c.relpersistence = 'u' or not exists (
       select from walhook.captured, jsonb_each(facts -> 'tables') as t
       where t.value #>> array['files', c.oid::text] = c.relfilenode::text)) as is_unseen
     from pg_class c where c.oid = 'public.${part}'::regclass`,
  )
  return row!.is_unseen === true
}
