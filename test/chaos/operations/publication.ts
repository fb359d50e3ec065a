import { type At, type Operation, pick, statements } from '../operation.ts'
import { type Table, tables } from '../tables.ts'

const all = ({ names }: At) => tables.map(table => names[table].table).join(', ')
const but = (at: At, name: Table) =>
  tables
    .filter(table => table !== name)
    .map(table => at.names[table].table)
    .join(', ')
const via = 'with (publish_via_partition_root = true)'
const rest = (at: At, ms: number) => new Promise(resolve => setTimeout(resolve, at.random() * ms))

/** What happens to the publication. */
export const publicationOperations: readonly Operation[] = [
  statements('drop a table from the publication', 3, at => {
    const { table } = at.names[pick(at.random, tables)]
    return [[`alter publication walhook drop table ${table}`, `alter publication walhook add table ${table}`]]
  }),
  {
    name: 'drop a table from the publication, and add it again',
    weight: 4,
    async run(at) {
      const { table } = at.names[pick(at.random, tables)]
      await at.sql(`alter publication walhook drop table ${table}`)
      await rest(at, 1_500)
      await at.sql(`alter publication walhook add table ${table}`)
      return { did: `${table} was out of the publication for a while` }
    },
  },
  {
    name: 'set the tables of the publication',
    weight: 2,
    async run(at) {
      const { table } = at.names[pick(at.random, tables)]
      const others = tables.map(each => at.names[each].table).filter(each => each !== table)
      await at.sql(`alter publication walhook set table ${others.join(', ')}`)
      await rest(at, 1_000)
      await at.sql(`alter publication walhook set table ${all(at)}`)
      return { did: `set table, without ${table} for a while` }
    },
  },
  statements('publish less', 2, at => {
    const less = pick(at.random, ['insert', 'insert, update', 'delete, truncate', 'insert, update, delete'])
    return [
      [
        `alter publication walhook set (publish = '${less}')`,
        `alter publication walhook set (publish = 'insert, update, delete, truncate')`,
      ],
    ]
  }),
  {
    name: 'publish less for a while',
    weight: 2,
    async run(at) {
      const less = pick(at.random, ['insert', 'insert, update', 'delete, truncate'])
      await at.sql(`alter publication walhook set (publish = '${less}')`)
      await rest(at, 1_000)
      await at.sql(`alter publication walhook set (publish = 'insert, update, delete, truncate')`)
      return { did: `published only ${less} for a while` }
    },
  },
  {
    name: 'make the publication anew',
    weight: 2,
    async run(at) {
      await at.sql('drop publication walhook')
      await rest(at, 1_000)
      await at.sql(`create publication walhook for table ${all(at)} ${via}`)
      return { did: 'dropped and created' }
    },
  },
  {
    name: 'make the publication anew in one transaction',
    weight: 1,
    async run(at) {
      await at.sql(
        'begin',
        'drop publication walhook',
        `create publication walhook for table ${all(at)} ${via}`,
        'commit',
      )
      return { did: 'dropped and created in one transaction' }
    },
  },
  {
    name: 'drop the publication',
    weight: 1,
    async run(at) {
      await at.sql('drop publication walhook')
      return { did: 'dropped', undo: () => at.sql(`create publication walhook for table ${all(at)} ${via}`) }
    },
  },
  statements('a row filter or a column list', 1, at => {
    const { table, key } = at.names.companies
    return [
      [
        `alter publication walhook set table ${but(at, 'companies')}, ${table} where (${key} < 20)`,
        `alter publication walhook set table ${all(at)}`,
      ],
      [
        `alter publication walhook set table ${but(at, 'companies')}, ${table} (${key}, v)`,
        `alter publication walhook set table ${all(at)}`,
      ],
    ]
  }),
  statements('the publication gets another owner or name', 1, () => [
    [`alter publication walhook owner to postgres`],
    [`alter publication walhook rename to other`, `alter publication other rename to walhook`],
  ]),
]
