import { randomUUID } from 'node:crypto'
import type { BackfillAction } from '../../domain/event/event.ts'
import { type ParkedChange, type WebhookEvent, withAction, writeBody } from '../../domain/event/event.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { PageDone } from '../../outbox/source/paged-work.ts'
import type { ResyncStep } from '../../outbox/source/resyncs.ts'
import { cannotBeEvent, type Mapped, maxShownKey } from '../map/map.ts'
import { twice } from '../map/twice.ts'
import type { EventText } from '../map/write-event.ts'
import type { PresentEntity, UntoldRow } from './read-entity.ts'

const maxHeldBytes = 16 * 1024 * 1024

/** What of a page is stored, without its place in the WAL. `step`: what it is a page of, and how far that is then. */
export type PageContent = {
  readonly events: readonly Omit<WebhookEvent, 'commitLsn' | 'committedAt' | 'index'>[]
  readonly parked: readonly Omit<ParkedChange, 'commitLsn' | 'index'>[]
  readonly webhookId: number | null
  readonly step: PageStep
}

export type PageStep = ({ readonly of: 'backfill' } & PageDone) | ({ readonly of: 'resync' } & ResyncStep)

/** What a page tells, and whom. A resync tells every row as `update`, until it is stored: see `asKnown`. */
export type PageTask =
  | { readonly of: 'backfill'; readonly actionType: BackfillAction; readonly webhookId: number | null }
  | {
      readonly of: 'resync'
      /** The fields by which entities may differ from what was told of them; absent: any. */
      readonly changed?: readonly string[]
    }

/** What was read: the entities that are there, and of those that were looked for the ones that are gone. */
export type PageReading = {
  readonly entities: readonly PresentEntity[]
  /** Rows that are there, and of which no event can be made. */
  readonly untold?: readonly UntoldRow[]
  readonly gone?: readonly EventText[]
}

/**
 * What became of a page. `ended`: the backfill was, meanwhile. `spoiled`: it says nothing any more, and is read again.
 * `failed`: nothing of it is stored, by this error.
 */
export type PageEnd = 'stored' | 'ended' | 'spoiled' | { readonly failed: unknown }

/**
 * The time from just before a page is read until the stream has brought everything that the reading may have seen. The
 * mark, written after the reading, says when that is. The page takes its place in the order there, and until then:
 *
 * - an entity that no event concerns is as the page has it;
 * - an entity that an event concerns is as the last of them has it, whether the page is older or newer: all that changes
 *   a row is in the WAL. (Where it was not, the stream passes that place before a page is read: `resync-entity.ts`.) It
 *   is told so once more, because a webhook need not have got that event: it may have no trigger for it. Only of a `new`
 *   that the page would tell as `new` too, every webhook that wants the page has got it already;
 * - an entity that was deleted is gone, and one that seemed gone is what an event says it is;
 * - a row of which no event can be made is set aside, unless an event tells it;
 * - a table that was emptied by TRUNCATE names no rows: the page is spoiled.
 */
export function openWindow(task: PageTask, entity: EntityMapping) {
  const { entityType } = entity
  const actionType = task.of === 'resync' ? 'update' : task.actionType
  const tell = tellerOf(task, entityType, actionType)
  const markId = randomUUID()
  const end = Promise.withResolvers<PageEnd>()
  const last = new Map<string, WebhookEvent>()
  let heldBytes = 0
  let page: { reading: PageReading; keys: ReadonlySet<string>; step: PageStep } | null = null
  let isSpoiled = false

  return {
    markId,
    /** Settles when the page was stored, or can't be any more. */
    end: end.promise,
    settle: end.resolve,

    /** Takes note of what the stream has brought. */
    observe(mapped: Pick<Mapped, 'events' | 'truncated'>): void {
      if (mapped.truncated.length > 0) isSpoiled = true
      if (isSpoiled) return
      for (const event of mapped.events) {
        if (event.entityType !== entityType || page?.keys.has(event.entityId) === false) continue
        heldBytes += event.body.length - (last.get(event.entityId)?.body.length ?? 0)
        last.set(event.entityId, event)
      }
      // A reading that takes long, while very much changes.
      if (heldBytes <= maxHeldBytes) return
      isSpoiled = true
      last.clear()
    },

    /** The page was read. Returns false where it says nothing any more. */
    fill(reading: PageReading, step: PageStep): boolean {
      const { entities, untold = [], gone = [] } = reading
      const keys = new Set([...entities, ...untold, ...gone].map(({ entityId }) => entityId))
      page = { reading, keys, step }
      for (const key of last.keys()) if (!keys.has(key)) last.delete(key)
      return !isSpoiled
    },

    /** What is stored at the mark; null where the page is spoiled. */
    content(): PageContent | null {
      if (isSpoiled || !page) return null
      const events: PageContent['events'][number][] = []
      const parked: PageContent['parked'][number][] = []
      const { entities, untold = [], gone = [] } = page.reading
      const setAside = (entityId: string, reason: string) =>
        parked.push({ entityType, entityId: entityId.slice(0, maxShownKey), actionType, reason })
      for (const present of entities) {
        const { entityId } = present
        const reason = cannotBeEvent({ key: entityId, entity })
        const told = twice(() => (reason === null ? tell(present, last.get(entityId)) : null))
        if (reason !== null) setAside(entityId, reason)
        else if (!told.ok) setAside(entityId, `its event can not be written: ${told.because}`)
        else if (told.value) events.push(told.value)
      }
      for (const { entityId, reason } of untold) if (!last.has(entityId)) setAside(entityId, reason)
      events.push(...gone.filter(({ entityId }) => !last.has(entityId)))
      return { events, parked, webhookId: task.of === 'backfill' ? task.webhookId : null, step: page.step }
    },
  }
}

/** Makes the function that tells an entity as the page has it, or as the event `newer` that came since; null where that has told it to everybody. */
function tellerOf(task: PageTask, entityType: string, actionType: BackfillAction) {
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
