import { randomUUID } from 'node:crypto'
import { createDecoder, probePrefix } from '../../src/capture/stream/decode.ts'
import { openStream } from '../../src/capture/stream/stream.ts'
import { connect } from '../support/connect.ts'
import { createPost } from './contenders/post.ts'
import { median, perSecond, rateText, table } from './figures.ts'
import { writeOutboxBare } from './outbox-writes.ts'
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

/** What nothing that works this way can exceed: bare decoding, bare posting, bare writing of the outbox's rows. */
export async function measureLimits(stage: Stage) {
  const figures: [string, number[]][] = [
    ['decoding the stream, transactions of 200 rows', []],
    ['decoding the stream, transactions of 1 row', []],
    ['undici posting signed bodies', []],
    ['Postgres appending events, each with a delivery and a lane', []],
    ['Postgres leasing, logging and settling them', []],
  ]
  for (let round = 0; round < 3; round++) {
    figures[0]![1].push(await decodeBare(stage, 40_000, 200))
    figures[1]![1].push(await decodeBare(stage, 40_000, 1))
    figures[2]![1].push(await postBare(stage.receiver, 30_000))
    const { append, deliver } = await writeOutboxBare(stage, 40_000)
    figures[3]![1].push(append)
    figures[4]![1].push(deliver)
  }
  const rows = figures.map(([limit, rates]) => ({ limit, rate: median(rates) }))
  const text = table(
    ['limit', 'rate'],
    rows.map(({ limit, rate }) => [limit, rateText(rate)]),
  )
  return { rows, text }
}
