import type { ActionType, StoredEvent } from '../../src/domain/event/event.ts'
import { firstIdAt, nextId } from '../../src/domain/value/time-id.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { append } from '../../src/outbox/log/append.ts'
import { createPosition } from '../../src/outbox/log/position.ts'
import { isDelivered, isEnded, isSkipped } from '../../src/outbox/log/waits.ts'
import { stateAt, wants } from '../../src/outbox/log/wanted.ts'
import { insertWebhook, type WebhookInput } from '../../src/outbox/records/webhooks.ts'
import { createTestDatabase } from './database.ts'

export const slotName = 'test'

type WebhookOptions = Partial<Omit<WebhookInput, 'triggers' | 'isActive'>> & { tenant?: string }

/** An outbox with its schema in a database of its own, and short ways to fill it. */
export async function openTestOutbox() {
  const database = await createTestDatabase({ hasOutbox: true })
  const outbox = openOutbox({ url: database.url, maxConnections: 10, onError() {} })
  await ensurePartitions(outbox, Date.now())
  await createPosition(outbox.pool, slotName, { systemIdentifier: '1', commitLsn: 0n })
  let commitLsn = 0n
  let lastEventId = firstIdAt(Date.now())

  /** Events like `user 7 update`, as one transaction of the source; `user 7 update acme bravo`: of the tenant acme, that was bravo's. */
  function events(lines: readonly string[]): StoredEvent[] {
    return lines.map((line, index) => {
      const [entityType, entityId, actionType, tenant = null, tenantBefore = null] = line.split(' ') as [
        string,
        string,
        ActionType,
        ...string[],
      ]
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
        ...(tenant !== null && { of: { tenant, tenantBefore } }),
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
    /** Appends events, and returns their ids. */
    async append(...lines: string[]): Promise<bigint[]> {
      const stored = events(lines)
      await append(outbox.pool, next(stored))
      commitLsn++
      return stored.map(({ id }) => id)
    },
    /** The arguments of an append that a test runs by itself; `append` goes on behind it. */
    nextAppend(...lines: string[]) {
      const stored = events(lines)
      const input = next(stored)
      commitLsn++
      return input
    },
    /** `count` events of as many entities, `user 1 new` unless told otherwise, in one statement. */
    async fill(
      count: number,
      { entityType = 'user', actionType = 'new', fromEntity = 1, onlyWebhookId = null as number | null } = {},
    ) {
      lastEventId = nextId(lastEventId, Date.now())
      const first = lastEventId
      lastEventId += BigInt(count - 1)
      await outbox.pool.query(
        `insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                     action_type, committed_at, body, only_webhook_id)
         select $1::bigint + n, walhook.share_of($3::text, id), (select version from walhook.webhooks_version), '0/1', n, $3::text, id, $4::text,
                now(), format('{"entity_id":%s,"entity_type":"%s","action_type":"%s"}', id, $3::text, $4::text),
                $6::int
         from generate_series(0, $2::int - 1) n cross join lateral (select ($5::int + n)::text) e (id)`,
        [first, count, entityType, actionType, fromEntity, onlyWebhookId],
      )
      await outbox.pool.query('update walhook.positions set last_event_id = $1', [lastEventId])
      return { first, last: lastEventId }
    },
    /** Notes in the log of requests that a webhook has received an event. */
    deliver: (webhookId: number, eventId: bigint, options: { inBatch?: boolean } = {}) =>
      deliverIn(outbox, webhookId, eventId, options),
    /** What waits, as rows and in the log, as `1 user 7: update, delete`. */
    async queue(): Promise<string[]> {
      const { rows } = await outbox.pool.query(`
        select webhook_id || ' ' || entity_type || ' ' || entity_id || ': ' || string_agg(action_type, ', ' order by id) as line
        from (
          select d.webhook_id, e.* from walhook.deliveries d join walhook.events e on e.id = d.event_id
          union
          select w.id, e.*
          from walhook.events e
          cross join walhook.webhooks w
          join walhook.shares m on m.share = e.share
          left join walhook.streams o on o.webhook_id = w.id and o.share = e.share
          cross join lateral (${stateAt('w.id', 'e.webhooks_version')}) s
          where e.id > coalesce(o.settled_up_to, m.settled_up_to) and ${wants('e', 's')}
            and not ${isDelivered('w.id', 'e')} and not ${isEnded('w.id', 'e')} and not ${isSkipped('w.id', 'e')}
        ) waiting
        group by webhook_id, entity_type, entity_id order by 1`)
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

/** Notes in the log of requests of an outbox that a webhook has received an event. */
export async function deliverIn(
  { pool }: Outbox,
  webhookId: number,
  eventId: bigint,
  { inBatch = false }: { inBatch?: boolean } = {},
): Promise<void> {
  await pool.query(
    `insert into walhook.attempts (webhook_id, trigger, event_id, event_ids, message_id, entity_type, entity_id,
       action_type, number, url, request_headers, started_at, duration_ms, status, outcome)
     select $1, 'schedule', case when not $3 then id end, case when $3 then array[id] end, 'msg_1',
            case when not $3 then entity_type end, case when not $3 then entity_id end,
            case when not $3 then action_type end, 1, 'https://crm.example.com/', '{}', now(), 5, 204, 'delivered'
     from walhook.events where id = $2`,
    [webhookId, eventId, inBatch],
  )
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
