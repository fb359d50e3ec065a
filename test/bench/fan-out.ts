import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import type { Place } from './contenders/contender.ts'
import { createWebhook, startWalhook, walhook } from './contenders/walhook.ts'
import { median, memoryMb, perSecond, rateText } from './figures.ts'
import { rateOf, type Shape } from './shape.ts'
import type { Stage } from './stage.ts'
import { writeUsers } from './users.ts'

/** Transactions of so many rows. */
const perTransaction = 200

/**
 * 1, 10, 50 and 100 webhooks that all want every event: how fast events are appended where nobody delivers, and how fast
 * as many deliveries are made of fewer events.
 */
export async function fanOut(stage: Stage, scale: number): Promise<Shape[]> {
  const [rows, deliveries] = [Math.round(40_000 * scale), Math.round(40_000 * scale)]
  const shapes: Shape[] = []
  let single: { append: number; deliver: number } | null = null
  for (const webhooks of [1, 10, 50, 100]) {
    const append = await appendRate(stage, webhooks, rows)
    const { rate: deliver, highestMb } = await deliveryRate(stage, webhooks, deliveries)
    single ??= { append, deliver }
    shapes.push({
      shape: `${webhooks} webhooks that want every event`,
      figure: `appended ${rateText(append)} (${(append / single.append).toFixed(2)} of one), delivered ${rateText(deliver)} (${(deliver / single.deliver).toFixed(2)} of one)`,
      highestMb,
    })
  }
  return shapes
}

/** Addresses of the same receiver, one for each webhook. */
export const urlsOf = (url: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${url}?webhook=${i}`)

async function appendRate(stage: Stage, webhooks: number, rows: number): Promise<number> {
  const place = await stage.place(walhook)
  await using _process = await startWalhook(place, urlsOf(place.receiverUrl, webhooks), {
    WALHOOK_ROLES: 'capture,api',
  })
  const warmUp = rows / 2
  await using psql = await connect(place.url)
  await writeUsers(psql, { first: 0, rows: warmUp, perTransaction })
  await untilAppended(place, warmUp)
  const startMs = performance.now()
  await writeUsers(psql, { first: warmUp, rows, perTransaction })
  await untilAppended(place, warmUp + rows)
  const rate = perSecond(rows, performance.now() - startMs)
  await _process[Symbol.asyncDispose]()
  await stage.drop(place)
  return rate
}

async function untilAppended(place: Place, rows: number): Promise<void> {
  await using psql = await connect(place.url)
  const count = async () => (await psql.query('select count(*)::int as n from walhook.events')).rows[0].n
  await until(async () => (await count()) >= rows, {
    what: `${rows} events`,
    timeoutMs: 240_000,
    intervalMs: 20,
  })
}

async function deliveryRate(
  stage: Stage,
  webhooks: number,
  deliveries: number,
): Promise<{ rate: number; highestMb: number }> {
  const place = await stage.place(walhook)
  await using process = await startWalhook(place, urlsOf(place.receiverUrl, webhooks))
  await using psql = await connect(place.url)
  const rows = deliveries / webhooks
  const send = (first: number, rows: number) =>
    rateOf(stage.receiver, rows * webhooks, () => writeUsers(psql, { first, rows, perTransaction }))
  await send(0, Math.ceil(rows / 2))
  const rate = await send(Math.ceil(rows / 2), rows)
  const { highest } = memoryMb(process.pid)
  await process[Symbol.asyncDispose]()
  await stage.drop(place)
  return { rate, highestMb: highest }
}

/**
 * A webhook that has taken nothing for so long that 5,000,000 events lie before it: the rate of a healthy one beside it as a
 * ratio to its rate alone, how many rows wait for the dead one, and how fast it catches up once it answers.
 */
export async function oneIsDead(stage: Stage, scale: number): Promise<Shape> {
  const behind = Math.round(5_000_000 * scale)
  const rows = Math.round(40_000 * Math.min(1, scale * 10))
  const ratios: number[] = []
  const catchUps: number[] = []
  const rates: number[] = []
  let highestMb = 0
  let setAside = 0
  for (let round = 0; round < (scale < 1 ? 1 : 3); round++) {
    const alone = await besideDead(stage, { behind: 0, rows })
    const beside = await besideDead(stage, { behind, rows })
    rates.push(beside.rate)
    ratios.push(beside.rate / alone.rate)
    catchUps.push(beside.catchUp / beside.rate)
    setAside = Math.max(setAside, beside.setAside)
    highestMb = Math.max(highestMb, beside.highestMb)
  }
  return {
    shape: `a dead webhook with ${behind.toLocaleString('en')} behind`,
    figure: `the healthy one ${rateText(median(rates))}, ${median(ratios).toFixed(2)} of its rate alone; ${setAside.toLocaleString('en')} rows; catching up at ${median(catchUps).toFixed(2)} of the live rate`,
    highestMb,
  }
}

async function besideDead(stage: Stage, load: { behind: number; rows: number }) {
  const { behind, rows } = load
  const place = await stage.place(walhook)
  let dead: number | null = null
  {
    await using api = await startWalhook(place, [place.receiverUrl], { WALHOOK_ROLES: 'api' })
    // Nothing listens on port 1.
    if (behind > 0) dead = await createWebhook(api.url, { name: 'dead', url: 'http://127.0.0.1:1/' })
  }
  if (dead !== null) await leaveBehind(place, dead, behind)
  await using process = await startWalhook(place, [])
  await using psql = await connect(place.url)
  const write = (first: number, count: number) =>
    rateOf(stage.receiver, count, () => writeUsers(psql, { first, rows: count, perTransaction }))
  await write(0, rows / 2)
  const rate = await write(rows / 2, rows)
  const { rows: found } = await psql.query('select count(*)::int as n from walhook.deliveries')
  let catchUp = Number.NaN
  if (dead !== null) {
    await revive(place, dead)
    const catching = Math.min(behind, rows)
    await rateOf(stage.receiver, catching / 4, async () => {})
    catchUp = await rateOf(stage.receiver, catching / 2, async () => {})
  }
  const { highest } = memoryMb(process.pid)
  await process[Symbol.asyncDispose]()
  await stage.drop(place)
  return { rate, catchUp, setAside: found[0].n, highestMb: highest }
}

/** Its receiver is there again. */
async function revive(place: Place, webhookId: number): Promise<void> {
  await using psql = await connect(place.url)
  await psql.query(
    `update walhook.webhooks
     set url = $2, disabled_at = null, disabled_reason = null, failing_since = null, failed_for_ms = null, failed_at = null,
         next_try_at = null, held_until = null
     where id = $1`,
    [webhookId, place.receiverUrl],
  )
}

/** Puts events into the log that all webhooks but one have passed. Nobody delivers meanwhile. */
async function leaveBehind(place: Place, webhookId: number, count: number): Promise<void> {
  await using psql = await connect(place.url)
  await psql.query(
    `insert into walhook.streams (webhook_id, share, settled_up_to, may_send_up_to)
     select $1, share, settled_up_to, settled_up_to from walhook.shares`,
    [webhookId],
  )
  await psql.query(
    `insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                 action_type, committed_at, body)
     select (floor(extract(epoch from now()) * 1000)::bigint << 20) + n, walhook.share_of('user', 'b' || n),
            (select version from walhook.webhooks_version), '0/1', n, 'user', 'b' || n, 'new', now(),
            '{"entity_id":"b' || n || '","entity_type":"user","action_type":"new","result":{"note":"' || repeat('n', 120) || '"}}'
     from generate_series(1, $1::int) n`,
    [count],
  )
  await psql.query('update walhook.shares set settled_up_to = (select max(id) from walhook.events)')
  await psql.query('vacuum (analyze) walhook.events')
}
