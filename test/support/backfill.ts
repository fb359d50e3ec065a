import type { Backfill } from '../../src/domain/capture/backfill.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../src/domain/webhook/signature.ts'
import { unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { stateAt, wants } from '../../src/outbox/log/wanted.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { type BackfillInput, findBackfill, insertBackfill } from '../../src/outbox/source/backfills.ts'
import { until } from './wait.ts'
import { secretKey } from './walhook-process.ts'

/** Under the key of `startWalhook`, which ends where it can't open the secrets of its webhooks. */
const openableSecret = seal(
  parseSealKey(secretKey)!,
  unboundPurpose,
  formatSecret(Buffer.alloc(32, 1)),
  Buffer.alloc(12, 1),
)

/** Short ways to backfills of a database whose capture runs. */
export async function openBackfills(database: { url: string; name: string }) {
  const outbox: Outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const slotName = database.name.slice(0, 63)
  return {
    outbox,
    webhook: async (...triggers: string[]) =>
      (
        await insertWebhook(outbox, {
          name: 'CRM',
          url: 'https://crm.example.com/',
          isActive: true,
          triggers: triggers as never,
          secret: openableSecret,
        })
      ).id,
    async start(input: Partial<BackfillInput> = {}): Promise<number> {
      const defaults = {
        entityType: 'user',
        webhookId: null,
        actionType: 'new',
        rowsPerSecond: 100_000,
      } as const
      return (await insertBackfill(outbox.pool, { ...defaults, slotName, ...input }))!.id
    },
    /** Waits until a backfill is as it is wanted. */
    async is(
      id: number,
      wanted: (backfill: Backfill) => boolean,
      what = 'the backfill to be done',
      timeoutMs = 60_000,
    ) {
      return await until(
        async () => {
          const backfill = (await findBackfill(outbox, id))!
          if (!wanted(backfill)) throw new Error(JSON.stringify(backfill))
          return backfill
        },
        { what, timeoutMs },
      )
    },
    /** What each webhook is sent of the log, as `1 user 7 new`. */
    async deliveries(): Promise<string[]> {
      const { rows } = await outbox.pool.query(
        `select w.id || ' ' || e.entity_type || ' ' || e.entity_id || ' ' || e.action_type as line
         from walhook.webhooks w cross join walhook.events e
         cross join lateral (${stateAt('w.id', 'e.webhooks_version')}) s
         where ${wants('e', 's')} order by w.id, e.id`,
      )
      return rows.map(({ line }) => line)
    },
    [Symbol.asyncDispose]: () => outbox[Symbol.asyncDispose](),
  }
}

export const isDone = ({ state }: Backfill) => state === 'done'
