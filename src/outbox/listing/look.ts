import type pg from 'pg'
import type { AlertAction } from '../../domain/event/alert.ts'
import type { ActionType } from '../../domain/event/event.ts'
import type { EventState } from '../../domain/event/event-state.ts'
import { afterAll, firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'
import { type EventLine, lineColumns } from '../reading/events.ts'

/** Which events. What is absent is not asked for. */
export type EventFilter = {
  readonly entityType?: string | undefined
  readonly entityId?: string | undefined
  readonly actions?: readonly (ActionType | AlertAction)[] | undefined
  /** Stored at or after this moment, and before this one, by their ids. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** In which at least one webhook has them, or that none was sent. */
  readonly state?: EventState | undefined
}

export type EventPage = {
  readonly filter: EventFilter
  /** Those that this tenant may know of; null: all. */
  readonly tenant: string | null
  /** By whose eyes actions and states are judged; null: by those of whoever sees all. */
  readonly seenBy: string | null
  readonly limit: number
  readonly before: TimeId | null
}

/** `next`: before which event to go on; null: nothing older is left. `isPartial`: looking has ended before the page was full. */
export type Looked<Item> = {
  readonly items: readonly Item[]
  readonly next: TimeId | null
  readonly isPartial: boolean
}

/** Events that are looked at for one page at most, whatever fits. */
export const mostLookedAt = 5_000

/** The ends of the ids that may be meant: `from` and above, below `before`. */
export function rangeOf({ filter: { from, to }, before }: EventPage): { from: TimeId; before: TimeId } {
  const end = to ? firstIdAt(to.getTime()) : afterAll
  return {
    from: from ? firstIdAt(from.getTime()) : 0n,
    before: before === null || before > end ? end : before,
  }
}

/** Which index leads to the events that are looked at. */
type Index = 'entity' | 'tenant' | 'log'

/**
 * The newest events above `above` that fit, whatever their state. At most 5,000 are looked at, by the index that leads closest. An entity
 * of a tenant may have so many events of another that they hide its own: then they are looked for among the tenant's.
 */
export async function look(
  client: pg.ClientBase,
  page: EventPage,
  above: TimeId = 0n,
): Promise<Looked<EventLine>> {
  const { filter, tenant } = page
  if (filter.entityId === undefined)
    return await lookBy(client, page, above, tenant === null ? 'log' : 'tenant')
  const found = await lookBy(client, page, above, 'entity')
  return found.isPartial && tenant !== null ? await lookBy(client, page, above, 'tenant') : found
}

async function lookBy(
  client: pg.ClientBase,
  page: EventPage,
  above: TimeId,
  index: Index,
): Promise<Looked<EventLine>> {
  const { values, given } = parameters()
  const limit = given(page.limit + 1)
  const { rows } = await client.query(
    `select ${lineColumns} from (${lookedAt(page, above, index, given, lineColumns)}) e
     where ${fits(page, given)} order by id desc limit ${limit}`,
    values,
  )
  const items = rows.slice(0, page.limit).map(fields<EventLine>)
  if (rows.length > page.limit) return { items, next: items.at(-1)!.id, isPartial: false }
  const next = await endOfLook(client, page, above, index)
  return { items, next, isPartial: next !== null }
}

/** The last of the events that are looked at, where there may be more below it. */
async function endOfLook(client: pg.ClientBase, page: EventPage, above: TimeId, index: Index) {
  const { values, given } = parameters()
  const { rows } = await client.query(
    `select min(id) as last, count(*)::int as count from (${lookedAt(page, above, index, given, 'id')}) e`,
    values,
  )
  return rows[0].count < mostLookedAt ? null : rows[0].last
}

/** Events of a range, newest first: of a tenant, the ends of two indexes. */
function lookedAt(
  page: EventPage,
  above: TimeId,
  index: Index,
  given: (value: unknown) => string,
  columns: string,
): string {
  const { from, before } = rangeOf(page)
  const range = `id < ${given(before)} and id >= ${given(from > above ? from : above + 1n)}`
  const end = `order by id desc limit ${mostLookedAt}`
  const part = (and: string) => `select ${columns} from walhook.events where ${range} ${and} ${end}`
  switch (index) {
    case 'log':
      return part('')
    case 'entity':
      return part(`and entity_id = ${given(page.filter.entityId)}`)
    case 'tenant': {
      const tenant = given(page.tenant)
      return `(${part(`and tenant = ${tenant}`)}) union all (${part(`and tenant_before = ${tenant}`)}) ${end}`
    }
    default:
      return index satisfies never
  }
}

/** Those of some ids that fit, newest first. */
export async function findFitting(
  client: pg.ClientBase,
  page: EventPage,
  ids: readonly TimeId[],
): Promise<EventLine[]> {
  if (ids.length === 0) return []
  const { values, given } = parameters()
  const { rows } = await client.query(
    `select ${lineColumns} from walhook.events e where id = any(${given(ids)}) and ${fits(page, given)} order by id desc`,
    values,
  )
  return rows.map(fields<EventLine>)
}

function fits({ filter, tenant, seenBy }: EventPage, given: (value: unknown) => string): string {
  const { entityType, entityId, actions } = filter
  const conditions = ['true']
  if (entityType !== undefined) conditions.push(`e.entity_type = ${given(entityType)}`)
  if (entityId !== undefined) conditions.push(`e.entity_id = ${given(entityId)}`)
  if (tenant !== null) conditions.push(`(e.tenant = ${given(tenant)} or e.tenant_before = ${given(tenant)})`)
  if (actions) conditions.push(`${actionSeenBy(seenBy, given)} = any(${given(actions)})`)
  return conditions.join(' and ')
}

/** What an event is to a tenant that may know of it, as `actionFor` of the domain says. */
const actionSeenBy = (tenant: string | null, given: (value: unknown) => string) =>
  tenant === null
    ? 'e.action_type'
    : `case when e.tenant_before is null then e.action_type when e.tenant_before = ${given(tenant)} then 'delete' else 'new' end`
