import type pg from 'pg'
import type { Outbox } from '../../src/outbox/database/database.ts'

type Plan = { Plans?: Plan[]; 'Actual Rows': number; 'Actual Loops': number; [removed: string]: unknown }

/** How many rows the nodes of a plan have touched in all, those among them that did not fit. */
function rowsOf(plan: Plan): number {
  const removed = Object.entries(plan)
    .filter(([name]) => name.startsWith('Rows Removed by'))
    .reduce((sum, [, rows]) => sum + Number(rows), 0)
  const own = (Number(plan['Actual Rows']) + removed) * Number(plan['Actual Loops'])
  return (plan.Plans ?? []).reduce((sum, inner) => sum + rowsOf(inner), own)
}

/**
 * An outbox that counts: each of its statements runs once under EXPLAIN (ANALYZE) and is undone, and then in earnest.
 * `rows` holds for each, by its beginning, how many rows its plan has touched: work that does not depend on the clock.
 */
export function countRows(outbox: Outbox) {
  const rows = new Map<string, number>()

  function counting(client: pg.PoolClient, inTransaction: () => boolean) {
    return async (config: string | pg.QueryConfig, values: unknown[] = []) => {
      const query = typeof config === 'string' ? { text: config, values } : { values: [], ...config }
      if (/^\s*(select|with|insert|update|delete)\b/.test(query.text)) {
        const isInside = inTransaction()
        await client.query(isInside ? 'savepoint before' : 'begin')
        const { text } = query
        const explained = await client.query(
          `explain (analyze, format json, timing off) ${text}`,
          query.values,
        )
        await client.query(isInside ? 'rollback to savepoint before' : 'rollback')
        const name = text.trim().replace(/\s+/g, ' ').slice(0, 60)
        const count = rowsOf(explained.rows[0]['QUERY PLAN'][0].Plan)
        rows.set(name, Math.max(count, rows.get(name) ?? 0))
      }
      return await client.query(query.text, query.values)
    }
  }

  async function connect(): Promise<pg.PoolClient> {
    const client = await outbox.pool.connect()
    let isInside = false
    const query = counting(client, () => isInside)
    return {
      query: async (config: string | pg.QueryConfig, values?: unknown[]) => {
        const text = typeof config === 'string' ? config : config.text
        if (text === 'begin') isInside = true
        if (text === 'commit' || text === 'rollback') isInside = false
        return await query(config, values)
      },
      release: (error?: boolean) => client.release(error),
    } as unknown as pg.PoolClient
  }

  const pool = {
    connect,
    async query(config: string | pg.QueryConfig, values?: unknown[]) {
      const client = await outbox.pool.connect()
      try {
        return await counting(client, () => false)(config, values)
      } finally {
        client.release()
      }
    },
  } as unknown as pg.Pool
  return { outbox: { ...outbox, pool } as Outbox, rows }
}
