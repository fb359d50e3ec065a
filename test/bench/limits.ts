import { randomUUID } from 'node:crypto'
import { createDecoder, probePrefix } from '../../src/capture/stream/decode.ts'
import { openStream } from '../../src/capture/stream/stream.ts'
import { connect } from '../support/connect.ts'
import { appendBare } from './append-bare.ts'
import { createPost } from './contenders/post.ts'
import { median, perSecond, rateText, table } from './figures.ts'
import type { LightReceiver } from './receiver.ts'
import type { Stage } from './stage.ts'
import { exampleBody, writeUsers } from './users.ts'

const inFlight = 100

/** Requests per second of bare undici that posts signed bodies to the receiver, 100 at a time, and does nothing else. */
export async function postBare(receiver: Pick<LightReceiver, 'url'>, requests: number): Promise<number> {
  const post = createPost(receiver.url, inFlight)
  const bodies = Array.from({ length: 1_000 }, (_, i) => exampleBody(i + 1))
  let sent = 0
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (sent < requests) await post(bodies[sent++ % bodies.length]!)
    }),
  )
  return perSecond(requests, performance.now() - startMs)
}

/** Rows per second of a bare reader of the write-ahead log, which decodes what is written beforehand and keeps nothing. */
export async function decodeBare(stage: Stage, rows: number, perTransaction: number): Promise<number> {
  const place = await stage.place({
    async prepare(place) {
      await using psql = await connect(place.url)
      await psql.query(`create publication walhook for table users`)
      await psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [place.name])
      await writeUsers(psql, { first: 0, rows, perTransaction })
    },
  })
  await using psql = await connect(place.url)
  const id = randomUUID()
  await psql.query('select pg_logical_emit_message(false, $1, $2)', [probePrefix, id])
  const ms = await drainBare(place.url, place.name, id)
  await stage.leave(place)
  return perSecond(rows, ms)
}

/** How long, in ms, a bare reader takes from the beginning of a slot to the probe with this id. */
export async function drainBare(url: string, slotName: string, id: string): Promise<number> {
  const done = Promise.withResolvers<void>()
  const decode = createDecoder()
  const startMs = performance.now()
  const stream = await openStream({
    url,
    slotName,
    publicationName: 'walhook',
    silenceLimitMs: 60_000,
    handler: {
      onMessage(bytes) {
        const message = decode(bytes)
        if (message.kind === 'probe' && message.id === id) done.resolve()
      },
      onKeepalive() {},
    },
  })
  await done.promise
  const ms = performance.now() - startMs
  await stream.close()
  return ms
}

/**
 * Requests per second of bare undici while a connection writes `rows` rows, as walhook's writer does, and afterwards: as many requests as
 * rows, from the first commit to the last answer. Nothing reads the rows.
 */
export async function postBesideWrites(stage: Stage, rows: number, perTransaction: number): Promise<number> {
  const place = await stage.place({ prepare: async () => {} })
  await using psql = await connect(place.url)
  const startMs = performance.now()
  await Promise.all([writeUsers(psql, { first: 0, rows, perTransaction }), postBare(stage.receiver, rows)])
  return perSecond(rows, performance.now() - startMs)
}

/** What nothing that works this way can exceed: bare decoding, bare posting, bare appending. */
export async function measureLimits(stage: Stage) {
  const limits: [string, () => Promise<number>][] = [
    ['decoding the stream, transactions of 200 rows', () => decodeBare(stage, 40_000, 200)],
    ['decoding the stream, transactions of 1 row', () => decodeBare(stage, 40_000, 1)],
    ['undici posting signed bodies', () => postBare(stage.receiver, 30_000)],
    ['undici beside the writer, transactions of 200 rows', () => postBesideWrites(stage, 30_000, 200)],
    ['undici beside the writer, transactions of 1 row', () => postBesideWrites(stage, 30_000, 1)],
    ['Postgres appending events', () => appendBare(stage, 40_000)],
  ]
  const rates = limits.map((): number[] => [])
  for (let round = 0; round < 3; round++)
    for (const [i, [, measure]] of limits.entries()) rates[i]!.push(await measure())
  const rows = limits.map(([limit], i) => ({ limit, rate: median(rates[i]!) }))
  const text = table(
    ['limit', 'rate'],
    rows.map(({ limit, rate }) => [limit, rateText(rate)]),
  )
  return { rows, text }
}
