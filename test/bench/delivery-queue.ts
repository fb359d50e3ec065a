import { pino } from 'pino'
import { openSender } from '../../src/delivery/sending/attempt.ts'
import { createDeliver } from '../../src/delivery/sending/deliver.ts'
import { createGuard } from '../../src/delivery/sending/guard.ts'
import { createDispatcher } from '../../src/delivery/turn/dispatcher.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../src/domain/webhook/signature.ts'
import { parseTargetList } from '../../src/domain/webhook/target-list.ts'
import { unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { createPosition } from '../../src/outbox/log/position.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'
import type { Log } from '../../src/runtime/log.ts'
import { defaultScheduleMs } from '../support/schedule.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
const secret = seal(sealKey, unboundPurpose, formatSecret(Buffer.alloc(32, 2)), Buffer.alloc(12, 3))

/** Lines are made as they are in service, and go nowhere. */
function openNowhereLog(): Log {
  const logger = pino({ level: 'info', base: null }, pino.destination({ dest: '/dev/null', sync: false }))
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (name: string, facts?: object) =>
    logger[level](facts ?? {}, name)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** An outbox with nothing in it, a short way to fill its log by SQL, and delivery in this process with its settings of service. */
export async function openQueue(url: string) {
  const outbox = openOutbox({ url, maxConnections: 8, onError() {}, plans: 'by index' })
  await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  await createPosition(outbox.pool, 'bench', { systemIdentifier: '1', commitLsn: 0n })
  let nextEventId = firstIdAt(Date.now())

  /** Puts an event for each n from `from` on into the log, of a user each, with the body that an expression of n gives. */
  async function events(count: number, bodySql: string, from = 0): Promise<void> {
    const first = nextEventId
    nextEventId += BigInt(count)
    await outbox.pool.query(
      `with e as (
         insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                     action_type, committed_at, body)
         select $1::bigint + n - $3::int, walhook.share_of('user', n::text), (select version from walhook.webhooks_version), '0/1', n,
                'user', n::text, 'new', now(), ${bodySql}
         from generate_series($3::int, $3::int + $2::int - 1) n
       )
       update walhook.positions set last_event_id = $1::bigint + $2::int - 1`,
      [first, count, from],
    )
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

    analyze: () => outbox.pool.query('vacuum (analyze) walhook.events, walhook.attempts, walhook.deliveries'),

    /** Delivers until `stop`; hears of each settlement. */
    deliver(onSettled: (settlement: Settlement) => void) {
      const allow = parseTargetList('127.0.0.1')
      if (!allow.ok) throw new Error('the allow list is wrong')
      const deadlineMs = 15_000
      const sender = openSender({
        guard: createGuard({ allow: allow.list }),
        deadlineMs,
        connectTimeoutMs: 5_000,
        maxResponseBytes: 16_384,
      })
      const dispatcher = createDispatcher({
        outbox,
        deliver: createDeliver({ post: sender.post, sealKey, userAgent: 'walhook/bench', nowMs: Date.now }),
        scheduleMs: defaultScheduleMs,
        maxInFlightPerWebhook: 100,
        maxInFlight: 500,
        deadlineMs,
        drainMs: 0,
        nowMs: Date.now,
        random: Math.random,
        log: openNowhereLog(),
        onSettled(settlements) {
          for (const one of settlements) onSettled(one)
        },
      })
      const stop = new AbortController()
      const running = dispatcher.run(stop.signal)
      return {
        wake: () => dispatcher.wake(null),
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
