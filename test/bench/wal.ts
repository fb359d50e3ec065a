import type { Client } from 'pg'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { startWalhook, untilQueueIsEmpty, walhook } from './contenders/walhook.ts'
import { urlsOf } from './fan-out.ts'
import type { Shape } from './shape.ts'
import type { Stage } from './stage.ts'
import { writeUsers } from './users.ts'

const perTransaction = 200

/**
 * WAL of the server per event: of the application's own insert, of the event in the log, and of each webhook that gets it. It
 * does not depend on how busy the machine is.
 */
export async function walPerEvent(stage: Stage, scale: number): Promise<Shape> {
  const rows = Math.max(1_000, Math.round(10_000 * scale))
  const none = await walOf(stage, rows, null)
  const stored = await walOf(stage, rows, { webhooks: 1, roles: 'capture,api' })
  const one = await walOf(stage, rows, { webhooks: 1, roles: 'capture,delivery,api' })
  const ten = await walOf(stage, rows, { webhooks: 10, roles: 'capture,delivery,api' })
  const text = (bytes: number) => `${(bytes / 1_000).toFixed(2)} kB`
  return {
    shape: 'WAL per event',
    figure: `the application's insert ${text(none)}, the event ${text(stored - none)}, its first webhook ${text(one - stored)}, each other one ${text((ten - one) / 9)}`,
    highestMb: null,
  }
}

async function walOf(
  stage: Stage,
  rows: number,
  by: { webhooks: number; roles: string } | null,
): Promise<number> {
  const place = await stage.place(walhook)
  const running =
    by && (await startWalhook(place, urlsOf(place.receiverUrl, by.webhooks), { WALHOOK_ROLES: by.roles }))
  await using psql = await connect(place.url)
  const write = async (first: number, count: number) => {
    await writeUsers(psql, { first, rows: count, perTransaction })
    if (!by) return
    await until(async () => (await eventsOf(psql)) >= first + count, {
      what: 'the events',
      timeoutMs: 240_000,
    })
    if (by.roles.includes('delivery')) await untilQueueIsEmpty(place.url, 240_000)
  }
  // After that, each page that is written to has been in the WAL whole.
  await write(0, rows / 2)
  const before = await position(psql)
  await write(rows / 2, rows)
  const bytes = Number((await position(psql)) - before)
  await running?.[Symbol.asyncDispose]()
  await stage.drop(place)
  return bytes / rows
}

const eventsOf = async (psql: Client): Promise<number> =>
  (await psql.query('select count(*)::int as n from walhook.events')).rows[0].n

const position = async (psql: Client): Promise<bigint> =>
  BigInt((await psql.query(`select pg_current_wal_insert_lsn() - '0/0' as at`)).rows[0].at)
