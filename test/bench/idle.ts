import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { createWebhook, startWalhook } from './contenders/walhook.ts'
import { cpuSeconds, table } from './figures.ts'
import type { Stage } from './stage.ts'

const webhookCounts = [1, 1_000]
const settleMs = 10_000
const measuredMs = 60_000

/**
 * What `serve` costs while nothing happens: the share of a core that its process and the server's processes of its
 * connections use in a minute, with one webhook and with a thousand.
 */
export async function measureIdle(stage: Stage): Promise<string> {
  const lines: string[][] = []
  for (const webhooks of webhookCounts) {
    const place = await stage.place({ async prepare() {} })
    await using psql = await connect(place.url)
    const walhook = await startWalhook(place, [])
    for (let i = 0; i < webhooks; i++)
      await createWebhook(walhook.url, { name: `bench ${i}`, url: place.receiverUrl })
    await psql.query('vacuum (analyze)')
    const { own, backends, server } = await idleShares(stage, psql, walhook.pid, measuredMs)
    lines.push([
      `${webhooks.toLocaleString('en')} webhooks`,
      ...[own, backends, own + backends, server].map(shareText),
    ])
    await walhook[Symbol.asyncDispose]()
    await stage.drop(place)
  }
  return `Shares of a core over ${measuredMs / 1000} s in which nothing happens.

${table(['', 'walhook', 'its connections in Postgres', 'both', 'all of Postgres'], lines)}`
}

export const shareText = (share: number) => `${(share * 100).toFixed(2)} %`

/** The shares of a core that walhook, its connections in Postgres, and all of Postgres use while nothing happens, after ten seconds. */
export async function idleShares(
  stage: Stage,
  psql: Awaited<ReturnType<typeof connect>>,
  pid: number,
  measuredMs: number,
): Promise<{ own: number; backends: number; server: number }> {
  await sleep(settleMs)
  const read = async () => ({
    own: cpuSeconds(pid),
    backends: await backendSeconds(psql),
    server: cpuSeconds(stage.serverPid),
    startMs: performance.now(),
  })
  const before = await read()
  await sleep(measuredMs)
  const after = await read()
  const seconds = (after.startMs - before.startMs) / 1_000
  const backends = [...after.backends].reduce((sum, [pid, s]) => sum + s - (before.backends.get(pid) ?? 0), 0)
  return {
    own: (after.own - before.own) / seconds,
    backends: backends / seconds,
    server: (after.server - before.server) / seconds,
  }
}

/** CPU seconds of the server's processes for the connections of this database, without the one that asks. */
async function backendSeconds(psql: Awaited<ReturnType<typeof connect>>): Promise<Map<number, number>> {
  const { rows } = await psql.query(
    `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  return new Map(rows.map(({ pid }) => [pid, cpuSeconds(pid)]))
}
