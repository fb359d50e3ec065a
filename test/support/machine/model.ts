import type { ActionType } from '../../../src/domain/event/event.ts'
import { sentAction, type WebhookState } from '../../../src/domain/event/wanted.ts'
import type { Request } from './receivers.ts'

export type ModelEvent = {
  readonly id: bigint
  readonly entityType: string
  readonly entityId: string
  readonly actionType: ActionType
}

export type ModelWebhook = {
  readonly id: number
  readonly kind: 'every' | 'latest' | 'batch'
  isActive: boolean
  triggers: readonly string[]
  /** The events that it wanted when they came. */
  readonly wanted: Set<bigint>
  /** Asked for by hand, so many times. */
  readonly byHand: Map<bigint, number>
  /** Cancelled while it may have waited. */
  readonly cancelled: Set<bigint>
  /** Since when it is not to be sent anything; null: it may. */
  inactiveSinceMs: number | null
}

/** How long a process may take to hear of a change. */
const heardWithinMs = 3_000
/** Whatever a process that was disturbed has sent so long before may not have been settled. */
const settledWithinMs = 10_000

/**
 * What may happen, as simple as it can be said: every event that a webhook wanted arrives, unless it was cancelled, or superseded where only
 * the latest state is wanted; those of an entity in their order; one at a time; none that was not wanted; and none again
 * that was known to have arrived. By hand, anything may come again.
 */
export function createModel(processes: () => readonly { index: number; disturbedMs: readonly number[] }[]) {
  const events = new Map<bigint, ModelEvent>()
  const webhooks: ModelWebhook[] = []
  const requests: Request[] = []
  /** The last requests of an entity at a webhook. */
  const open = new Map<string, Request[]>()
  /** Requests that were taken, by the entities in them. */
  const acceptedOfEntity = new Map<string, Set<Request>>()
  const acceptedOf = new Map<string, Request[]>()
  const faults: string[] = []
  /** Webhook and event of each fault. */
  const concerned: { webhookId: number; eventId: bigint }[] = []

  const find = (id: number) => webhooks.find(webhook => webhook.id === id)!
  const entityOf = ({ entityType, entityId }: ModelEvent) => `${entityType} ${entityId}`

  /** Takes in what has become of requests since. */
  function digest() {
    for (const [key, list] of open) {
      for (const request of list.filter(({ endedMs }) => endedMs < Number.POSITIVE_INFINITY)) {
        if (!request.isAccepted) continue
        for (const id of request.eventIds) {
          const event = events.get(id)!
          const entity = `${request.webhookId} ${entityOf(event)}`
          if (!acceptedOfEntity.has(entity)) acceptedOfEntity.set(entity, new Set())
          acceptedOfEntity.get(entity)!.add(request)
          const one = `${request.webhookId} ${id}`
          const before = acceptedOf.get(one) ?? []
          if (!before.includes(request)) acceptedOf.set(one, [...before, request])
        }
      }
      open.set(
        key,
        list.filter(({ endedMs }) => endedMs === Number.POSITIVE_INFINITY),
      )
    }
  }

  /** Nobody can say whether this request was settled: its process was disturbed while, or soon after, it was under way. */
  const mayBeUnsettled = ({ process, startedMs, endedMs }: Request) =>
    processes()
      .find(({ index }) => index === process)!
      .disturbedMs.some(atMs => atMs >= startedMs && atMs <= endedMs + settledWithinMs)

  /** A newer event of an entity that was taken; not by a request that held this one too, as a batch does that is sent again. */
  function newerThan(entity: string, id: bigint): bigint | null {
    for (const { webhookId, eventIds } of acceptedOfEntity.get(entity) ?? [])
      if (!eventIds.includes(id))
        for (const other of eventIds)
          if (other > id && `${webhookId} ${entityOf(events.get(other)!)}` === entity) return other
    return null
  }

  /** Each fault with what the webhook was sent of its entity before. */
  const blame = (webhookId: number, eventId: bigint, what: string) => {
    faults.push(what)
    concerned.push({ webhookId, eventId })
  }

  return {
    events,
    webhooks,
    faults,
    concerned,
    find,

    append(appended: readonly ModelEvent[]) {
      for (const event of appended) {
        events.set(event.id, event)
        for (const webhook of webhooks) {
          const states: WebhookState[] = [
            { version: 0, isActive: webhook.isActive, triggers: webhook.triggers, updateFields: null },
          ]
          const facts = { previous: null, changed: null, omitted: null, body: '{}' }
          const noTenant = { tenant: null, tenantBefore: null }
          const wantable = { ...event, ...facts, webhooksVersion: 0, onlyWebhookId: null, ...noTenant }
          if (sentAction({ id: webhook.id, tenant: null, states }, wantable) !== null)
            webhook.wanted.add(event.id)
        }
      }
    },

    /** A request begins. */
    check(request: Request) {
      digest()
      requests.push(request)
      const webhook = find(request.webhookId)
      const who = `process ${request.process} sends webhook ${webhook.id}`
      const { startedMs } = request
      if (webhook.inactiveSinceMs !== null && startedMs > webhook.inactiveSinceMs + heardWithinMs)
        blame(
          webhook.id,
          request.eventIds[0]!,
          `${who} ${request.eventIds}, ${Math.round(startedMs - webhook.inactiveSinceMs)} ms after it was deactivated`,
        )
      const entities = new Set<string>()
      for (const id of request.eventIds) {
        const event = events.get(id)
        if (!event) {
          blame(webhook.id, request.eventIds[0]!, `${who} event ${id}, which there is not`)
          continue
        }
        const entity = `${webhook.id} ${entityOf(event)}`
        entities.add(entity)
        const asked = webhook.byHand.get(id) ?? 0
        if (!webhook.wanted.has(id) && asked === 0)
          blame(webhook.id, request.eventIds[0]!, `${who} event ${id}, which it did not want`)
        const newer = newerThan(entity, id)
        if (newer !== null && asked === 0)
          blame(webhook.id, id, `${who} event ${id} of ${entityOf(event)} after the newer ${newer}`)
        const known = (acceptedOf.get(`${webhook.id} ${id}`) ?? []).filter(
          each => each.isKnown && !mayBeUnsettled(each),
        )
        if (known.length > asked)
          blame(
            webhook.id,
            id,
            `${who} event ${id} again, which was settled as delivered by process ${known[0]!.process}`,
          )
      }
      for (const entity of entities) {
        const others = open.get(entity) ?? []
        for (const other of others)
          blame(
            webhook.id,
            request.eventIds[0]!,
            `${who} events ${request.eventIds} while ${other.eventIds} of ${entity} are under way from process ${other.process}`,
          )
        open.set(entity, [...others, request])
      }
    },

    /** What a webhook was sent of an entity, for whoever has to understand a fault. */
    story(webhookId: number, isMeant: (event: ModelEvent) => boolean): string[] {
      const first = requests[0]?.startedMs ?? 0
      return requests
        .filter(each => each.webhookId === webhookId && each.eventIds.some(id => isMeant(events.get(id)!)))
        .map(
          each =>
            `${Math.round(each.startedMs - first)}–${Math.round(each.endedMs - first)} ms, process ${each.process}: ${each.eventIds}${each.isManual ? ', by hand' : ''}, ${each.isKnown ? 'known' : each.isAccepted ? 'accepted' : 'not accepted'}`,
        )
    },

    /** At the end, when nothing waits any more: what has not arrived and should have. */
    missing(superseded: ReadonlySet<string>): string[] {
      digest()
      const list: string[] = []
      for (const webhook of webhooks)
        for (const id of webhook.wanted) {
          if (webhook.cancelled.has(id)) continue
          if ((acceptedOf.get(`${webhook.id} ${id}`) ?? []).length > 0) continue
          if (webhook.kind === 'latest' && superseded.has(`${webhook.id} ${id}`)) continue
          const event = events.get(id)!
          concerned.push({ webhookId: webhook.id, eventId: id })
          list.push(`webhook ${webhook.id} (${webhook.kind}) never got event ${id} of ${entityOf(event)}`)
        }
      return list
    },
  }
}

export type Model = ReturnType<typeof createModel>
