import { randomUUID } from 'node:crypto'
import type { BackfillAction } from '../../domain/event/event.ts'
import { type ParkedChange, type WebhookEvent, withAction, writeBody } from '../../domain/event/event.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { PageDone } from '../../outbox/source/paged-work.ts'
import type { ResyncStep } from '../../outbox/source/resyncs.ts'
import { cannotBeEvent, type Mapped, maxShownKey } from '../map/map.ts'
import { tryTwice } from '../map/try-twice.ts'
import type { EventText } from '../map/write-event.ts'
import type { PresentEntity, UnreadableRow } from './read-entity.ts'

const maxHeldBytes = 16 * 1024 * 1024

/** The stored part of a page, without its position in the WAL. `step`: its work, and the progress after it. */
export type PageContent = {
  readonly events: readonly Omit<WebhookEvent, 'commitLsn' | 'committedAt' | 'index'>[]
  readonly parked: readonly Omit<ParkedChange, 'commitLsn' | 'index'>[]
  readonly webhookId: number | null
  readonly step: PageStep
}

export type PageStep = ({ readonly of: 'backfill' } & PageDone) | ({ readonly of: 'resync' } & ResyncStep)

/** The receivers of a page and its action. A resync sends every row as `update`, until it is stored: see `asKnown`. */
export type PageTask =
  | { readonly of: 'backfill'; readonly actionType: BackfillAction; readonly webhookId: number | null }
  | {
      readonly of: 'resync'
      /** The fields that may differ from what was sent; absent: any. */
      readonly changed?: readonly string[]
    }

/** The result of reading: existing entities, and missing ones among those looked for. */
export type PageReading = {
  readonly entities: readonly PresentEntity[]
  /** Existing rows that can't become events. */
  readonly unreadable?: readonly UnreadableRow[]
  readonly gone?: readonly EventText[]
}

/**
 * The end of a page. `ended`: its backfill ended meanwhile. `spoiled`: it is out of date, and is read again. `failed`:
 * nothing of it is stored, because of this error.
 */
export type PageEnd = 'stored' | 'ended' | 'spoiled' | { readonly failed: unknown }

/**
 * The window of a page: from just before its reading until the stream has delivered everything that the reading may have seen,
 * which a mark written after the reading shows. The page enters the stream there. Until then:
 *
 * - an entity without an event is as the page has it
 * - an entity with events is as the last of them has it, since the WAL has every change of a row. (Otherwise the stream
 *   passes that position before the reading: `resync-entity.ts`.) It is sent again, because a webhook may lack that event's
 *   trigger, except a `new` that the page would send as `new` too: every webhook of the page has got it
 * - an entity that was deleted is gone; one that seemed gone is what its event says
 * - a row that can't become an event is parked, unless an event has it
 * - a TRUNCATE names no rows: the page is spoiled
 */
export function openWindow(task: PageTask, entity: EntityMapping) {
  const { entityType } = entity
  const actionType = task.of === 'resync' ? 'update' : task.actionType
  const writeEvent = eventWriterOf(task, entityType, actionType)
  const markId = randomUUID()
  const end = Promise.withResolvers<PageEnd>()
  const last = new Map<string, WebhookEvent>()
  let heldBytes = 0
  let page: { reading: PageReading; keys: ReadonlySet<string>; step: PageStep } | null = null
  let isSpoiled = false

  return {
    markId,
    /** Settles when the page is stored, or can't be any more. */
    end: end.promise,
    settle: end.resolve,

    /** Notes what the stream has delivered. */
    observe(mapped: Pick<Mapped, 'events' | 'truncated'>): void {
      if (mapped.truncated.length > 0) isSpoiled = true
      if (isSpoiled) return
      for (const event of mapped.events) {
        if (event.entityType !== entityType || page?.keys.has(event.entityId) === false) continue
        heldBytes += event.body.length - (last.get(event.entityId)?.body.length ?? 0)
        last.set(event.entityId, event)
      }
      // A slow reading during many changes.
      if (heldBytes <= maxHeldBytes) return
      isSpoiled = true
      last.clear()
    },

    /** The page was read. Returns false if it is out of date. */
    fill(reading: PageReading, step: PageStep): boolean {
      const { entities, unreadable = [], gone = [] } = reading
      const keys = new Set([...entities, ...unreadable, ...gone].map(({ entityId }) => entityId))
      page = { reading, keys, step }
      for (const key of last.keys()) if (!keys.has(key)) last.delete(key)
      return !isSpoiled
    },

    /** The content to store at the mark; null: the page is spoiled. */
    content(): PageContent | null {
      if (isSpoiled || !page) return null
      const events: PageContent['events'][number][] = []
      const parked: PageContent['parked'][number][] = []
      const { entities, unreadable = [], gone = [] } = page.reading
      const setAside = (entityId: string, reason: string) =>
        parked.push({ entityType, entityId: entityId.slice(0, maxShownKey), actionType, reason })
      for (const present of entities) {
        const { entityId } = present
        const reason = cannotBeEvent({ key: entityId, entity })
        const event = tryTwice(() => (reason === null ? writeEvent(present, last.get(entityId)) : null))
        if (reason !== null) setAside(entityId, reason)
        else if (!event.ok) setAside(entityId, `its event cannot be written: ${event.because}`)
        else if (event.value) events.push(event.value)
      }
      for (const { entityId, reason } of unreadable) if (!last.has(entityId)) setAside(entityId, reason)
      events.push(...gone.filter(({ entityId }) => !last.has(entityId)))
      return { events, parked, webhookId: task.of === 'backfill' ? task.webhookId : null, step: page.step }
    },
  }
}

/**
 * Creates the function that makes an entity's event from the page, or from the later event `newer`; null: all receivers got
 * that.
 */
function eventWriterOf(task: PageTask, entityType: string, actionType: BackfillAction) {
  const changed = task.of === 'resync' ? (task.changed ?? null) : null
  const factsOf = (omitted: readonly string[] | null) => ({ previous: null, changed, omitted })

  return (present: PresentEntity, newer: WebhookEvent | undefined): PageContent['events'][number] | null => {
    const { entityId, entityIdJson, resultJson, omitted, tenant } = present
    const parts = { entityIdJson, entityType }
    const event = { entityType, entityId, actionType }
    if (!newer) {
      const body = writeBody({ ...parts, actionType, resultJson })
      return { ...event, body, ...((omitted || changed) && { facts: factsOf(omitted) }), ...ofTenant(tenant) }
    }
    if (newer.actionType === 'delete' || (newer.actionType === 'new' && actionType === 'new')) return null
    const body = withAction(newer.body, { ...parts, from: newer.actionType, to: actionType })
    const facts = factsOf(newer.facts?.omitted ?? null)
    return { ...event, body, facts, ...ofTenant(newer.of?.tenant ?? null) }
  }
}

const ofTenant = (tenant: string | null) => tenant !== null && { of: { tenant, tenantBefore: null } }

export type Window = ReturnType<typeof openWindow>
