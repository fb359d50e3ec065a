import type { ActionType, StoredEvent } from '../../src/domain/event.ts'
import { firstIdAt, nextId } from '../../src/domain/time-id.ts'
import type { Mode } from '../../src/domain/webhook.ts'
import { append } from '../../src/outbox/append.ts'
import { busyWebhooks } from '../../src/outbox/busy.ts'
import { cancelSome } from '../../src/outbox/cancel.ts'
import { claim } from '../../src/outbox/claim.ts'
import { type Outbox, openOutbox, transaction } from '../../src/outbox/database.ts'
import { migrate } from '../../src/outbox/migrate.ts'
import { ensurePartitions } from '../../src/outbox/partitions.ts'
import { createPosition } from '../../src/outbox/position.ts'
import { resendEvent } from '../../src/outbox/resend.ts'
import { type Settlement, settle } from '../../src/outbox/settle.ts'
import type { ClaimedDelivery } from '../../src/outbox/shipment.ts'
import { insertWebhook, type WebhookInput } from '../../src/outbox/webhooks.ts'
import { createTestDatabase } from './database.ts'

export const slotName = 'test'
const lease = '00000000-0000-4000-8000-'

type WebhookOptions = Pick<WebhookInput, 'mode' | 'batch'>

/** An outbox with its schema in a database of its own, and short ways to fill it. */
export async function openTestOutbox() {
  const database = await createTestDatabase({ hasOutbox: true })
  const outbox = openOutbox({ url: database.url, maxConnections: 10, onError() {} })
  await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  await createPosition(outbox.pool, slotName, { systemIdentifier: '1', commitLsn: 0n })
  let commitLsn = 0n
  let lastEventId = firstIdAt(Date.now())
  let leases = 0

  /** Events like `user 7 update`, as one transaction of the source. */
  function events(lines: readonly string[]): StoredEvent[] {
    return lines.map((line, index) => {
      const [entityType, entityId, actionType] = line.split(' ') as [string, string, ActionType]
      lastEventId = nextId(lastEventId, Date.now())
      const body = `{"entity_id":${entityId},"entity_type":"${entityType}","action_type":"${actionType}"}`
      return {
        id: lastEventId,
        entityType,
        entityId,
        actionType,
        body,
        index,
        commitLsn: commitLsn + 1n,
        committedAt: new Date(),
      }
    })
  }

  const next = (stored: StoredEvent[]) => ({
    slotName,
    expected: commitLsn,
    commitLsn: commitLsn + 1n,
    confirmableLsn: commitLsn + 2n,
    lastEventId,
    events: stored,
    parked: [],
  })

  const at = {
    database,
    outbox,
    webhook: async (triggers: readonly string[], isActive = true, options: WebhookOptions = {}) =>
      (
        await insertWebhook(outbox, {
          ...options,
          name: 'CRM',
          url: 'https://crm.example.com/',
          isActive,
          triggers: triggers as never,
          secret: 'v1:sealed',
        })
      ).id,
    async append(...lines: string[]) {
      const stored = events(lines)
      const input = next(stored)
      const { deliveries } = await append(outbox.pool, input)
      commitLsn++
      return deliveries
    },
    /** The arguments of an append that a test runs by itself; `append` goes on behind it. */
    nextAppend(...lines: string[]) {
      const stored = events(lines)
      const input = next(stored)
      commitLsn++
      return input
    },
    busy: () => busyWebhooks(outbox),
    claim: async (webhookId: number, limit = 100, leaseMs = 60_000, mode: Mode = 'every') =>
      (
        await claim(outbox, {
          webhookId,
          mode,
          batch: null,
          limit,
          leaseMs,
          lease: `${lease}${String(++leases).padStart(12, '0')}`,
        })
      ).shipments.map(({ deliveries }) => deliveries[0]),
    /** Deliveries and lanes as `1 user 7: update, delete`, a lane without deliveries as `1 user 7:`. */
    async queue(): Promise<string[]> {
      const { rows } = await outbox.pool.query(`
        select coalesce(l.webhook_id, d.webhook_id) || ' ' || coalesce(l.entity_type, d.entity_type) || ' '
                 || coalesce(l.entity_id, d.entity_id) || case when l.webhook_id is null then ' without lane' else '' end
                 || ':' || coalesce(' ' || string_agg(e.action_type, ', ' order by d.event_id), '') as line
        from walhook.lanes l full join walhook.deliveries d using (webhook_id, entity_type, entity_id)
        left join walhook.events e on e.id = d.event_id
        group by l.webhook_id, d.webhook_id, l.entity_type, d.entity_type, l.entity_id, d.entity_id
        order by 1`)
      return rows.map(({ line }) => line)
    },
    count: async (table: string, where = 'true') =>
      (await outbox.pool.query(`select count(*)::int as n from walhook.${table} where ${where}`)).rows[0].n,
    async [Symbol.asyncDispose]() {
      await outbox[Symbol.asyncDispose]()
      await database.drop()
    },
  }
  return at
}

export type TestOutbox = Awaited<ReturnType<typeof openTestOutbox>> & { outbox: Outbox }

/** A settlement of a claimed lane: delivered, unless told otherwise. */
export function settlementOf(
  lane: ClaimedDelivery,
  change: Partial<Omit<Settlement, 'shipment'>> = {},
): Settlement {
  const isDelivered = change.next === undefined || change.next.state === 'done'
  return {
    shipment: { webhookId: lane.webhookId, batchId: null, deliveries: [lane] },
    next: { state: 'done' },
    disable: null,
    isFailing: !isDelivered,
    isOverdue: false,
    holdMs: 0,
    attempt: {
      webhookId: lane.webhookId,
      trigger: 'schedule',
      eventId: lane.eventId,
      eventIds: null,
      messageId: `msg_${lane.webhookId}_${lane.eventId}`,
      entityType: lane.entityType,
      entityId: lane.entityId,
      actionType: lane.actionType,
      number: lane.attempts + 1,
      request: { url: 'https://crm.example.com/', headers: { 'webhook-id': 'x' }, body: lane.body },
      startedAt: new Date(),
      durationMs: 12.5,
      phases: { first_byte: 10 },
      remoteAddress: null,
      response: isDelivered ? { status: 204, headers: { a: 'b' }, body: '', truncated: false } : null,
      outcome: isDelivered ? 'delivered' : 'unreachable',
      errorClass: isDelivered ? null : 'timeout',
      errorMessage: isDelivered ? null : 'The receiver did not answer.',
    },
    ...change,
  }
}

/** What becomes of a settled delivery that is tried again after `waitMs`. */
export const retry = (waitMs: number) => ({ next: { state: 'retry' as const, waitMs, costsAttempt: true } })

/** Settles what is due of a webhook, the next delivery of each lane: delivered, unless told otherwise. */
export async function settleAll(
  at: TestOutbox,
  webhookId: number,
  change: Parameters<typeof settlementOf>[1] = {},
): Promise<readonly ClaimedDelivery[]> {
  const lanes = await at.claim(webhookId)
  await settle(
    at.outbox,
    lanes.map(lane => settlementOf(lane, change)),
  )
  return lanes
}

/** The ids of every event, in their order. */
export async function eventIds(at: TestOutbox): Promise<bigint[]> {
  const { rows } = await at.outbox.pool.query('select id from walhook.events order by id')
  return rows.map(({ id }) => id)
}

/** How many connections to the database wait for a lock. */
export async function waiters(at: TestOutbox): Promise<number> {
  const { rows } = await at.outbox.pool.query(
    `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows[0].n
}

/** A resend in a transaction of its own. */
export const resend = (at: TestOutbox, input: Parameters<typeof resendEvent>[1]) =>
  transaction(at.outbox.pool, client => resendEvent(client, input))

/** One page of a cancellation in a transaction of its own. */
export const cancelPage = (at: TestOutbox, ...input: Tail<Parameters<typeof cancelSome>>) =>
  transaction(at.outbox.pool, client => cancelSome(client, ...input))

type Tail<List extends unknown[]> = List extends [unknown, ...infer Rest] ? Rest : never
