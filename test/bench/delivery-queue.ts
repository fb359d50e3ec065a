import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { openSender } from '../../src/delivery/attempt.ts'
import { createDeliver } from '../../src/delivery/deliver.ts'
import { createDispatcher } from '../../src/delivery/dispatcher.ts'
import { createGuard } from '../../src/delivery/guard.ts'
import { defaultScheduleMs } from '../../src/domain/retry.ts'
import { parseSealKey, seal } from '../../src/domain/seal.ts'
import { formatSecret } from '../../src/domain/signature.ts'
import { parseTargetList } from '../../src/domain/target-list.ts'
import { firstIdAt } from '../../src/domain/time-id.ts'
import { unboundPurpose } from '../../src/domain/webhook-secrets.ts'
import { openOutbox } from '../../src/outbox/database.ts'
import { migrate } from '../../src/outbox/migrate.ts'
import { ensurePartitions } from '../../src/outbox/partitions.ts'
import type { Settlement } from '../../src/outbox/settle.ts'
import { insertWebhook } from '../../src/outbox/webhooks.ts'
import type { Log } from '../../src/runtime/log.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const secret = seal(sealKey, unboundPurpose, formatSecret(Buffer.alloc(32, 2)), Buffer.alloc(12, 3))

/** Lines are made as they are in service, and go nowhere. */
function openNowhereLog(): Log {
  const logger = pino({ level: 'info', base: null }, pino.destination({ dest: '/dev/null', sync: false }))
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (name: string, facts?: object) =>
    logger[level](facts ?? {}, name)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** An outbox with nothing in it, short ways to fill it by SQL, and delivery in this process with its settings of service. */
export async function openQueue(url: string) {
  const outbox = openOutbox({ url, maxConnections: 8, onError() {}, plans: 'by index' })
  await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  let nextEventId = firstIdAt(Date.now())

  /** Inserts one event for each row that `bodies` (a SELECT of n from 0 and body) gives; returns their first id. */
  async function events(count: number, bodySql: string): Promise<bigint> {
    const first = nextEventId
    nextEventId += BigInt(count)
    await outbox.pool.query(
      `insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
       select $1::bigint + n, '0/1', n, 'user', n::text, 'new', now(), ${bodySql}
       from generate_series(0, $2::int - 1) n`,
      [first, count],
    )
    return first
  }

  return {
    outbox,
    events,
    webhook: async (target: string) =>
      (
        await insertWebhook(outbox, {
          name: 'bench',
          url: target,
          isActive: true,
          triggers: ['user.new'],
          secret,
        })
      ).id,

    /** Puts `perEntity` deliveries of each of `entities` entities into the queue; events are shared by the entities. */
    async fill(
      webhookId: number,
      entities: number,
      perEntity: number,
      firstEventId: bigint,
      spread: boolean,
      prefix = '',
    ) {
      await outbox.pool.query(
        `insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id)
         select $1, 'user', $6 || e, $4::bigint + case when $5 then e else n end
         from generate_series(0, $2::int - 1) e, generate_series(0, $3::int - 1) n`,
        [webhookId, entities, perEntity, firstEventId, spread, prefix],
      )
      await outbox.pool.query(
        `insert into walhook.lanes (webhook_id, entity_type, entity_id, next_event_id, due_at)
         select $1, 'user', $3 || e, $4::bigint + case when $5 then e else 0 end, now() - interval '1 hour' + e * interval '1 us' from generate_series(0, $2::int - 1) e`,
        [webhookId, entities, prefix, firstEventId, spread],
      )
    },

    /** What `work` puts into the empty queue is not logged row by row; then the tables are as in service. */
    async withoutLog<T>(work: () => Promise<T>): Promise<T> {
      const set = async (how: string) => {
        for (const name of ['deliveries', 'lanes'])
          await outbox.pool.query(`alter table walhook.${name} set ${how}`)
      }
      await set('unlogged')
      const done = await work()
      await set('logged')
      return done
    },

    analyze: () => outbox.pool.query('vacuum (analyze) walhook.deliveries, walhook.lanes, walhook.events'),

    /** Delivers until `stop`; hears of each settlement, with the moment at which its claim began. */
    deliver(onSettled: (settlement: Settlement, claimedAtMs: number) => void) {
      const allow = parseTargetList('127.0.0.1')
      if (!allow.ok) throw new Error('the allow list is wrong')
      const deadlineMs = 15_000
      const sender = openSender({
        guard: createGuard({ allow: allow.list }),
        deadlineMs,
        connectTimeoutMs: 5_000,
        maxResponseBytes: 16_384,
      })
      const claimedAtMs = new Map<string, number>()
      const dispatcher = createDispatcher({
        outbox,
        deliver: createDeliver({ post: sender.post, sealKey, userAgent: 'walhook/bench', nowMs: Date.now }),
        scheduleMs: defaultScheduleMs,
        maxInFlightPerWebhook: 100,
        maxInFlight: 500,
        leaseMs: 2 * deadlineMs,
        deadlineMs,
        drainMs: 0,
        newLease() {
          const lease = randomUUID()
          claimedAtMs.set(lease, performance.now())
          return lease
        },
        nowMs: Date.now,
        random: Math.random,
        log: openNowhereLog(),
        onSettled(settlements) {
          for (const one of settlements) onSettled(one, claimedAtMs.get(one.shipment.deliveries[0].lease)!)
        },
      })
      const stop = new AbortController()
      const running = dispatcher.run(stop.signal)
      return {
        wake: dispatcher.wake,
        async stop() {
          stop.abort()
          await running
          await sender.close()
        },
      }
    },

    [Symbol.asyncDispose]: () => outbox[Symbol.asyncDispose](),
  }
}

export type Queue = Awaited<ReturnType<typeof openQueue>>
