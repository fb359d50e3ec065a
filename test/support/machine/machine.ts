import { shareOf } from '../../../src/domain/delivery/share.ts'
import type { ActionType } from '../../../src/domain/event/event.ts'
import { replay } from '../../../src/outbox/by-hand/replay.ts'
import { append } from '../../../src/outbox/log/append.ts'
import { updateWebhook } from '../../../src/outbox/records/webhooks.ts'
import { openTestOutbox } from '../open-outbox.ts'
import { readQueue } from '../read-outbox.ts'
import { cancel, resend } from '../sending.ts'
import { until } from '../wait.ts'
import { openFleet, type Process } from './fleet.ts'
import { createModel, type ModelEvent, type ModelWebhook } from './model.ts'
import { type Manner, openReceivers } from './receivers.ts'

const everything = ['user', 'company'].flatMap(type =>
  ['new', 'update', 'delete'].map(action => `${type}.${action}`),
)
const maxProcesses = 4

/**
 * The whole way of delivery on an outbox of its own: processes, receivers, and the model that checks what they get. Each way to change
 * something changes both.
 */
export async function openMachine({ deadlineMs }: { deadlineMs: number }) {
  const at = await openTestOutbox()
  const { outbox } = at
  const model = createModel(() => fleet.all)
  const receivers = openReceivers(request => model.check(request))
  const fleet = await openFleet(outbox, receivers, deadlineMs)
  /** What was done, for whoever has to understand what came of it. */
  const history: string[] = []
  const startedMs = performance.now()
  let lastEventId = 0n
  const ids: bigint[] = []

  for (const [kind, options] of [
    ['every', {}],
    ['every', {}],
    ['latest', { mode: 'latest' }],
    ['batch', { batch: { maxEvents: 3, maxWaitMs: 100 } }],
  ] as const) {
    const id = await at.webhook(everything, true, options)
    model.webhooks.push({
      id,
      kind,
      isActive: true,
      triggers: everything,
      wanted: new Set(),
      byHand: new Map(),
      cancelled: new Set(),
      inactiveSinceMs: null,
    })
  }
  fleet.start()
  fleet.start()

  const webhook = (n: number): ModelWebhook => model.webhooks[n % model.webhooks.length]!
  /** One that lives; null where it is the last. */
  const spare = (n: number): Process | null => {
    const living = fleet.living()
    return living.length > 1 ? living[n % living.length]! : null
  }

  /** What was sent of the entity of the first row that waits. */
  async function requestsOfRows(): Promise<string[]> {
    const { rows } = await outbox.pool.query('select * from walhook.deliveries order by event_id limit 1')
    if (!rows[0]) return []
    const { webhook_id, entity_type, entity_id } = rows[0]
    const isMeant = (event: ModelEvent) => event.entityType === entity_type && event.entityId === entity_id
    const events = [...model.events.values()]
      .filter(isMeant)
      .map(({ id, actionType }) => `${id} ${actionType}`)
    return [
      `events of ${entity_type} ${entity_id}: ${events.join(', ')}`,
      ...model.story(webhook_id, isMeant),
    ]
  }

  return {
    at,
    model,
    fleet,
    history,

    report(what: string) {
      const line = `${Math.round(performance.now() - startedMs)} ms: ${what}`
      history.push(line)
      if (process.env.MACHINE_TELLS) process.stderr.write(`${line}\n`)
    },

    async append(lines: readonly string[]) {
      const input = at.nextAppend(...lines)
      const events: ModelEvent[] = input.events.map(({ id, entityType, entityId, actionType }) => ({
        id,
        entityType,
        entityId,
        actionType: actionType as ActionType,
      }))
      // Before anybody may send them.
      model.append(events)
      ids.push(...events.map(({ id }) => id))
      const { webhooksVersion } = await append(outbox.pool, input)
      const previousEventId = lastEventId
      lastEventId = events.at(-1)!.id
      const logged = input.events.map(event => ({
        ...event,
        share: shareOf(event.entityType, event.entityId),
        previous: null,
        omitted: null,
        changed: null,
        webhooksVersion,
        onlyWebhookId: null,
        tenant: null,
        tenantBefore: null,
      }))
      // One of the processes has captured them.
      const [capturing] = fleet.living()
      if (capturing?.link.condition() === 'runs')
        capturing.appended({ previousEventId, lastEventId, events: logged })
    },

    behave(n: number, manner: Manner) {
      receivers.manners.set(webhook(n).id, manner)
    },

    start() {
      if (fleet.living().length < maxProcesses) fleet.start()
    },
    async kill(n: number) {
      const chosen = spare(n)
      if (chosen) await fleet.kill(chosen)
    },
    async stop(n: number) {
      const chosen = spare(n)
      if (chosen?.link.condition() === 'runs') await chosen.stop()
    },
    cut(n: number, ms: number) {
      const living = fleet.living()
      fleet.cut(living[n % living.length]!, ms)
    },

    async change(n: number, change: { triggers?: readonly string[]; isActive?: boolean }) {
      const changed = webhook(n)
      await updateWebhook(outbox, changed.id, change as never)
      if (change.triggers) changed.triggers = change.triggers
      if (change.isActive === undefined) return
      changed.isActive = change.isActive
      changed.inactiveSinceMs = change.isActive ? null : (changed.inactiveSinceMs ?? performance.now())
    },

    async cancel(n: number, entity: string | null) {
      const { id, wanted, cancelled } = webhook(n)
      const [entityType, entityId] = entity?.split(' ') ?? []
      const meant = [...wanted].filter(event => {
        const { entityType: type, entityId: key } = model.events.get(event)!
        return entity === null || (type === entityType && key === entityId)
      })
      for (const event of meant) cancelled.add(event)
      await cancel(at, {
        webhookId: id,
        entity: entity === null ? null : { entityType: entityType!, entityId: entityId! },
        eventId: null,
        upTo: lastEventId,
      })
    },

    async resend(n: number, event: number) {
      if (ids.length === 0) return
      const { id, byHand, isActive } = webhook(n)
      const eventId = ids[event % ids.length]!
      if (isActive) byHand.set(eventId, (byHand.get(eventId) ?? 0) + 1)
      await resend(at, { webhookId: id, eventId })
    },

    async replay(n: number, event: number) {
      if (ids.length === 0) return
      const { id, byHand, isActive, triggers } = webhook(n)
      const from = ids[event % ids.length]!
      const to = from + 5n
      if (!isActive) return
      for (const each of ids) if (each >= from && each < to) byHand.set(each, (byHand.get(each) ?? 0) + 1)
      const source = { of: 'range', from, to, triggers } as const
      await replay(
        outbox,
        { webhookId: id, source, onlyWanted: true, after: null, pageEvents: 100 },
        { isTimeOver: () => false, async onQueued() {} },
      )
    },

    /** Mends everything, and waits until nothing waits any more. */
    async comeToRest() {
      this.report('everything is mended')
      for (const { id } of model.webhooks) receivers.manners.set(id, 'accepts')
      for (let n = 0; n < model.webhooks.length; n++) await this.change(n, { isActive: true })
      if (fleet.living().every(({ link }) => link.condition() !== 'runs')) fleet.start()
      await until(
        async () => {
          const client = await outbox.pool.connect()
          try {
            const { deliveries } = await readQueue(client as never)
            if (deliveries > 0) throw new Error(`${deliveries} deliveries wait`)
            return true
          } finally {
            client.release()
          }
        },
        { what: 'the queue to be empty', timeoutMs: 60_000, intervalMs: 100 },
      )
    },

    /** What keeps it from coming to rest. */
    async whatWaits(): Promise<string> {
      const inspect = async (sql: string) =>
        (await outbox.pool.query(sql)).rows.map(row =>
          JSON.stringify(row, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
        )
      return [
        `processes: ${fleet.all.map(({ index, link }) => `${index} ${link.condition()}`).join(', ')}`,
        'rows:',
        ...(await inspect('select * from walhook.deliveries order by event_id limit 20')),
        ...(await requestsOfRows()),
        'batches:',
        ...(await inspect('select * from walhook.batches limit 20')),
        'streams:',
        ...(await inspect('select * from walhook.streams order by 1, 2 limit 20')),
        'shares:',
        ...(await inspect('select * from walhook.shares order by 1')),
        'holders:',
        ...(await inspect('select *, now() from walhook.holders')),
        'head:',
        ...(await inspect('select last_event_id from walhook.positions')),
        'locks:',
        ...(await inspect(
          `select pid, state, wait_event_type, wait_event, left(query, 100) as query, now() - xact_start as age
           from pg_stat_activity where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()`,
        )),
      ].join('\n')
    },

    /** What the first webhook and entity of a fault were sent, and what the tables know of it. */
    async storyOfFault(): Promise<string> {
      const [first] = model.concerned
      if (!first) return ''
      const { entityType, entityId } = model.events.get(first.eventId)!
      const isMeant = (event: ModelEvent) => event.entityType === entityType && event.entityId === entityId
      const events = [...model.events.values()]
        .filter(isMeant)
        .map(({ id, actionType }) => `${id} ${actionType}`)
      const { rows } = await outbox.pool.query(
        `select to_char(started_at, 'SS.MS') || ' ' || event_id || ' ' || outcome || ' attempt ' || number as line
         from walhook.attempts where webhook_id = $1 and entity_type = $2 and entity_id = $3 order by started_at`,
        [first.webhookId, entityType, entityId],
      )
      const ended = await outbox.pool.query(
        `select event_id || ' ' || state as line from walhook.ended_deliveries where webhook_id = $1 and entity_id = $2`,
        [first.webhookId, entityId],
      )
      const skips = await outbox.pool.query(
        `select entity_type || ' ' || entity_id || ' ' || after_id || ' to ' || up_to as line from walhook.skips where webhook_id = $1`,
        [first.webhookId],
      )
      return [
        `webhook ${first.webhookId}, ${entityType} ${entityId}, share ${shareOf(entityType, entityId)}: ${events.join(', ')}`,
        ...model.story(first.webhookId, isMeant),
        'attempts:',
        ...rows.map(({ line }) => line),
        'ended:',
        ...ended.rows.map(({ line }) => line),
        'skips:',
        ...skips.rows.map(({ line }) => line),
        'processes:',
        ...fleet.history,
      ].join('\n')
    },

    async superseded(): Promise<Set<string>> {
      const { rows } = await outbox.pool.query(
        `select webhook_id || ' ' || event_id as key from walhook.ended_deliveries where state = 'superseded'`,
      )
      return new Set(rows.map(({ key }) => key))
    },

    async [Symbol.asyncDispose]() {
      this.report('it ends')
      await fleet[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
}

export type Machine = Awaited<ReturnType<typeof openMachine>>
