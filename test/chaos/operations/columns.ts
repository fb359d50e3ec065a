import { type At, type Operation, pick, statements } from '../operation.ts'
import type { Table } from '../tables.ts'

const entities: readonly Table[] = ['users', 'companies', 'orders']
const tableOf = (at: At) => at.names[pick(at.random, entities)].table

/** What migrations do to columns and to replica identities. */
export const columnOperations: readonly Operation[] = [
  statements('add a column', 3, at => {
    const column = `x${Math.floor(at.random() * 4)}`
    const type = pick(at.random, [
      'integer',
      'integer default 7',
      `text default 'x'`,
      'jsonb',
      'boolean not null default true',
    ])
    return [[`alter table ${tableOf(at)} add column ${column} ${type}`]]
  }),
  statements('drop a column', 3, at => {
    const column = pick(at.random, ['x0', 'x1', 'x2', 'x3', 'n', 'name'])
    return [[`alter table ${tableOf(at)} drop column if exists ${column}`]]
  }),
  statements('put a column back', 2, at => [
    [`alter table ${tableOf(at)} add column if not exists name text`],
    [`alter table ${tableOf(at)} add column if not exists n integer`],
  ]),
  statements('rename a column', 2, at => {
    const [from, to] = pick(at.random, [
      ['name', 'x1'],
      ['x1', 'name'],
      ['n', 'x2'],
      ['x2', 'n'],
    ] as const)
    return [[`alter table ${tableOf(at)} rename column ${from} to ${to}`]]
  }),
  statements('retype a column', 2, at => {
    const column = pick(at.random, ['n', 'name', 'x0', 'x1'])
    const type = pick(at.random, ['text', 'bigint', 'integer', 'numeric'])
    return [
      [
        `alter table ${tableOf(at)} alter column ${column} type ${type} using nullif(regexp_replace(${column}::text, '\\D', '', 'g'), '')::${type === 'integer' ? 'numeric % 1000000' : type}`,
      ],
    ]
  }),
  statements('fill a column', 2, at => [
    [`update ${tableOf(at)} set v = nextval('chaos.v'), n = 5`],
    [`update ${tableOf(at)} set v = nextval('chaos.v'), x0 = null`],
  ]),
  statements('another replica identity', 3, at => {
    const table = at.names[pick(at.random, ['users', 'companies', 'user_companies'] as const)].table
    return [
      [`alter table ${table} replica identity full`, `alter table ${table} replica identity default`],
      [`alter table ${table} replica identity default`],
      [`alter table ${table} replica identity nothing`, `alter table ${table} replica identity default`],
    ]
  }),
  {
    name: 'drop the omitted column',
    weight: 1,
    async run(at) {
      await at.sql(`alter table ${at.names.users.table} drop column pin`)
      return {
        did: 'the column pin, which the mapping omits, is gone',
        undo: () => at.sql(`alter table ${at.names.users.table} add column pin text`),
      }
    },
  },
  {
    name: 'a lock that is held',
    weight: 3,
    async run(at) {
      const { table } = at.names[pick(at.random, ['users', 'companies', 'user_companies'] as const)]
      const client = await at.connect()
      const statement = pick(at.random, [
        `lock table ${table} in access exclusive mode`,
        `alter table ${table} alter column v set not null`,
      ])
      await client.query(`set lock_timeout = '5s'; begin`)
      await client.query(statement).catch(async error => {
        await client.end()
        throw error
      })
      let isHeld = true
      const release = async () => {
        if (!isHeld) return
        isHeld = false
        await client.query(pick(at.random, ['commit', 'rollback'])).catch(() => {})
        await client.end().catch(() => {})
      }
      setTimeout(release, 500 + at.random() * 6_000)
      return { did: `${statement}, held for seconds`, release }
    },
  },
]
