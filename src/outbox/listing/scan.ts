import type pg from 'pg'
import type { AlertAction } from '../../domain/event/alert.ts'
import type { ActionType } from '../../domain/event/event.ts'
import type { EventState } from '../../domain/event/event-state.ts'
import { afterAll, firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'
import { type EventLine, lineColumns } from '../reading/events.ts'

/** The filter of a list. Absent fields do not filter. */
export type EventFilter = {
  readonly entityType?: string | undefined
  readonly entityId?: string | undefined
  readonly actions?: readonly (ActionType | AlertAction)[] | undefined
  /** Stored from this moment on, and before this one, by id. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** At least one webhook has them in this state, or none was sent them. */
  readonly state?: EventState | undefined
}

export type EventPage = {
  readonly filter: EventFilter
  /** The events that this tenant may see; null: all. */
  readonly tenant: string | null
  /** The tenant whose view decides actions and states; null: the one of callers that see all. */
  readonly seenBy: string | null
  readonly limit: number
  readonly before: TimeId | null
}

/** `next`: the event to continue before; null: the end. `isPartial`: the search stopped before the page was full. */
export type Scanned<Item> = {
  readonly items: readonly Item[]
  readonly next: TimeId | null
  readonly isPartial: boolean
}

/** The maximum of events examined per page. */
export const maxLookedAt = 5_000

/** The bounds of possible ids: `from` and above, below `before`. */
export function rangeOf({ filter: { from, to }, before }: EventPage): { from: TimeId; before: TimeId } {
  const end = to ? firstIdAt(to.getTime()) : afterAll
  return {
    from: from ? firstIdAt(from.getTime()) : 0n,
    before: before === null || before > end ? end : before,
  }
}

/** The index that selects the events to examine. */
type Index = 'entity' | 'tenant' | 'log'

/**
 * The newest matching events above `above`, in any state. Examines at most 5,000, by the most selective index. Another
 * tenant's events of an entity may hide its own: then the tenant's index is used.
 */
export async function scan(
  client: pg.ClientBase,
  page: EventPage,
  above: TimeId = 0n,
): Promise<Scanned<EventLine>> {
  const { filter, tenant } = page
  if (filter.entityId === undefined)
    return await scanBy(client, page, above, tenant === null ? 'log' : 'tenant')
  const found = await scanBy(client, page, above, 'entity')
  return found.isPartial && tenant !== null ? await scanBy(client, page, above, 'tenant') : found
}

async function scanBy(
  client: pg.ClientBase,
  page: EventPage,
  above: TimeId,
  index: Index,
): Promise<Scanned<EventLine>> {
  const { values, given } = parameters()
  const limit = given(page.limit + 1)
  const { rows } = await client.query(
    `select ${lineColumns} from (${lookedAt(page, above, index, given, lineColumns)}) e
     where ${fits(page, given)} order by id desc limit ${limit}`,
    values,
  )
  const items = rows.slice(0, page.limit).map(fields<EventLine>)
  if (rows.length > page.limit) return { items, next: items.at(-1)!.id, isPartial: false }
  const next = await endOfScan(client, page, above, index)
  return { items, next, isPartial: next !== null }
}

/** The last examined event, if there may be more below. */
async function endOfScan(client: pg.ClientBase, page: EventPage, above: TimeId, index: Index) {
  const { values, given } = parameters()
  const { rows } = await client.query(
    `select min(id) as last, count(*)::int as count from (${lookedAt(page, above, index, given, 'id')}) e`,
    values,
  )
  return rows[0].count < maxLookedAt ? null : rows[0].last
}

/** The events of a range, newest first; for a tenant from two indexes. */
function lookedAt(
  page: EventPage,
  above: TimeId,
  index: Index,
  given: (value: unknown) => string,
  columns: string,
): string {
  const { from, before } = rangeOf(page)
  const range = `id < ${given(before)} and id >= ${given(from > above ? from : above + 1n)}`
  const end = `order by id desc limit ${maxLookedAt}`
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

/** The matching ones of some ids, newest first. */
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

/** The action of an event for a tenant, like `actionFor` of the domain. */
const actionSeenBy = (tenant: string | null, given: (value: unknown) => string) =>
  tenant === null
    ? 'e.action_type'
    : `case when e.tenant_before is null then e.action_type when e.tenant_before = ${given(tenant)} then 'delete' else 'new' end`
