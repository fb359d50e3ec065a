import { shareOf } from '../../domain/delivery/share.ts'
import type { StoredEvent } from '../../domain/event/event.ts'
import { arrayLiteral, type BinaryArray, itemAt, openArray, sliceArray } from '../database/binary-array.ts'

/**
 * Events as columns, in the form that `append` sends. The events themselves need not be kept, and `clear` makes the memory
 * reusable.
 */
export type EventColumns = {
  add(event: StoredEvent): void
  count(): number
  bytes(): number
  clear(): void
  /** A range of the events, as separate columns. */
  slice(from: number, to: number): EventColumns
  /** An event's identity, by index. */
  at(
    index: number,
  ): Pick<StoredEvent, 'entityType' | 'entityId' | 'commitLsn' | 'index'> & { readonly actionType: string }
  /** Array parameters: views, valid until the next `add` or `clear`. */
  values(): EventArrays
}

const listOf = (texts: readonly string[] | null | undefined) => (texts ? arrayLiteral(texts) : null)

/** The columns by their names in the table; lists are texts. */
export const eventColumns = {
  id: ['bigint', (event: StoredEvent) => event.id],
  share: ['smallint', (event: StoredEvent) => shareOf(event.entityType, event.entityId)],
  commit_lsn: ['pg_lsn', (event: StoredEvent) => event.commitLsn],
  index_in_transaction: ['int', (event: StoredEvent) => event.index],
  entity_type: ['text', (event: StoredEvent) => event.entityType],
  entity_id: ['text', (event: StoredEvent) => event.entityId],
  action_type: ['text', (event: StoredEvent) => event.actionType],
  committed_at: ['timestamptz', (event: StoredEvent) => event.committedAt],
  body: ['text', (event: StoredEvent) => event.body],
  // Empty, and not sent, without REPLICA IDENTITY FULL.
  previous: ['text', ({ facts }: StoredEvent) => facts?.previous ?? null],
  changed: ['text', ({ facts }: StoredEvent) => listOf(facts?.changed)],
  omitted: ['text', ({ facts }: StoredEvent) => listOf(facts?.omitted)],
  // Empty too if the mapping has no tenants.
  tenant: ['text', (event: StoredEvent) => event.of?.tenant ?? null],
  tenant_before: ['text', (event: StoredEvent) => event.of?.tenantBefore ?? null],
} as const

type EventArrays = { readonly [Name in keyof typeof eventColumns]: Buffer | null }

export function openEventColumns(): EventColumns {
  const columns = Object.entries(eventColumns).map(([name, [type, pick]]) => ({
    name,
    pick: pick as (event: StoredEvent) => unknown,
    array: openArray(type) as BinaryArray<unknown>,
  }))
  let count = 0
  const values = () =>
    Object.fromEntries(columns.map(({ name, array }) => [name, array.valueOrNull()])) as EventArrays

  return {
    ...viewOf(values, () => count),
    add(event) {
      for (const { array, pick } of columns) array.add(pick(event))
      count++
    },
    bytes: () => columns.reduce((sum, { array }) => sum + array.bytes(), 0),
    clear() {
      for (const { array } of columns) array.clear()
      count = 0
    },
  }
}

/** The readable part of columns. */
function viewOf(values: () => EventArrays, count: () => number) {
  const text = (array: Buffer, index: number) => itemAt(array, index).toString('utf8')
  return {
    values,
    count,
    at(index: number) {
      const arrays = values()
      return {
        entityType: text(arrays.entity_type!, index),
        entityId: text(arrays.entity_id!, index),
        actionType: text(arrays.action_type!, index),
        commitLsn: itemAt(arrays.commit_lsn!, index).readBigUInt64BE(),
        index: itemAt(arrays.index_in_transaction!, index).readInt32BE(),
      }
    },
    slice(from: number, to: number): EventColumns {
      const sliced = Object.fromEntries(
        Object.entries(values()).map(([name, array]) => [name, array && sliceArray(array, from, to)]),
      ) as EventArrays
      return {
        ...viewOf(
          () => sliced,
          () => to - from,
        ),
        bytes: () => Object.values(sliced).reduce((sum, array) => sum + (array?.length ?? 0), 0),
        add: readOnly,
        clear: readOnly,
      }
    },
  }
}

function readOnly(): never {
  throw new Error('these columns are a part of others')
}

export function eventColumnsOf(events: readonly StoredEvent[]): EventColumns {
  const columns = openEventColumns()
  for (const event of events) columns.add(event)
  return columns
}
