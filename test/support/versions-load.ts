import type { Client } from 'pg'
import { connect } from './connect.ts'
import { until } from './wait.ts'

export const versionsTables = `
  create table users (id integer primary key, version integer not null, changed_at timestamptz not null);
  create table companies (id integer primary key)`
export const versionsTriggers = ['user.new', 'user.update']

/**
 * Commits changes to `users` rows, each counting its row's `version` up from 1, a few per transaction, until `total`
 * are made, or `end` is called where there is no total. While the server is away it waits; a commit of unknown outcome is what the table says in the end.
 */
export function startVersionsLoad(
  url: () => string,
  options: { users: number; total?: number; perSecond: number },
) {
  let made = 0
  let total = options.total ?? Number.POSITIVE_INFINITY
  const running = (async () => {
    let psql: (Client & AsyncDisposable) | null = null
    while (made < total) {
      const ids = new Set(Array.from({ length: 4 }, () => 1 + Math.floor(Math.random() * options.users)))
      try {
        psql ??= await connect(url())
        await psql.query(
          `insert into users select id, 1, clock_timestamp() from unnest($1::int[]) as id order by id
           on conflict (id) do update set version = users.version + 1, changed_at = clock_timestamp()`,
          [[...ids]],
        )
        made += ids.size
      } catch {
        await psql?.end().catch(() => {})
        psql = null
      }
      await new Promise(resolve => setTimeout(resolve, (1_000 * ids.size) / options.perSecond))
    }
    await psql?.end()
  })()
  return {
    made: () => made,
    /** Waits until so many changes are made. */
    reached: (count: number) => until(() => made >= count, { what: `${count} changes`, timeoutMs: 120_000 }),
    /** How many versions each lane of the webhooks at `paths` has, once all changes are made. */
    async end(paths: readonly string[]): Promise<Map<string, number>> {
      if (options.total === undefined) total = 0
      await running
      await using psql = await connect(url())
      const { rows } = await psql.query('select id, version from users')
      return new Map(paths.flatMap(path => rows.map(row => [`${path} user ${row.id}`, row.version] as const)))
    },
  }
}
