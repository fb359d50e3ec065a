import type { StoredEvent } from '../domain/event.ts'
import { shareOf } from '../domain/share.ts'
import {
  arrayLiteral,
  itemAt,
  openInt2Array,
  openInt4Array,
  openInt8Array,
  openLsnArray,
  openTextArray,
  openTimestamptzArray,
  sliceArray,
} from './binary-array.ts'

/**
 * Events on their way into the outbox, written down column by column, as `append` sends them. The events themselves
 * need not be kept meanwhile, and what they were written into is used again after `clear`.
 */
export type EventColumns = {
  add(event: StoredEvent): void
  count(): number
  /** How many bytes the columns take by now. */
  bytes(): number
  clear(): void
  /** Some of the events, by their place, in columns of their own. */
  slice(from: number, to: number): EventColumns
  /** What identifies an event, by its place. */
  at(
    place: number,
  ): Pick<StoredEvent, 'entityType' | 'entityId' | 'commitLsn' | 'index'> & { readonly actionType: string }
  /** Arrays for a statement's parameters: views, good until the next `add` or `clear`. */
  values(): EventArrays
}

/** The columns, under the names that they have in the table; of lists, the texts. */
export const eventTypes = {
  id: 'bigint',
  share: 'smallint',
  commit_lsn: 'pg_lsn',
  index_in_transaction: 'int',
  entity_type: 'text',
  entity_id: 'text',
  action_type: 'text',
  committed_at: 'timestamptz',
  body: 'text',
  previous: 'text',
  changed: 'text',
  omitted: 'text',
} as const

type Fact = 'previous' | 'changed' | 'omitted'
type Known = Exclude<keyof typeof eventTypes, Fact>
type EventArrays = { [Name in Known]: Buffer } & { [Name in Fact]: Buffer | null }

/** Without REPLICA IDENTITY FULL no event has any of these, and nothing of them is sent. */
const factTexts = {
  previous: ({ facts }: StoredEvent) => facts?.previous ?? null,
  changed: ({ facts }: StoredEvent) => (facts?.changed ? arrayLiteral(facts.changed) : null),
  omitted: ({ facts }: StoredEvent) => (facts?.omitted ? arrayLiteral(facts.omitted) : null),
}

/** Opens columns without an event. */
export function openEventColumns(): EventColumns {
  const columns = {
    id: openInt8Array(),
    share: openInt2Array(),
    commit_lsn: openLsnArray(),
    index_in_transaction: openInt4Array(),
    entity_type: openTextArray(),
    entity_id: openTextArray(),
    action_type: openTextArray(),
    committed_at: openTimestamptzArray(),
    body: openTextArray(),
  } satisfies Record<Known, unknown>
  const facts = Object.entries(factTexts).map(([name, textOf]) => ({
    name,
    textOf,
    column: openTextArray(),
  }))
  const every = [...Object.values(columns), ...facts.map(({ column }) => column)]
  let count = 0

  const values = () => {
    const named = Object.entries(columns).map(([name, column]) => [name, column.value()])
    const known = facts.map(({ name, column }) => [name, column.valueOrNull()])
    return Object.fromEntries([...named, ...known]) as EventArrays
  }

  return {
    ...viewOf(values, () => count),
    add(event) {
      columns.id.add(event.id)
      columns.share.add(shareOf(event.entityType, event.entityId))
      columns.commit_lsn.add(event.commitLsn)
      columns.index_in_transaction.add(event.index)
      columns.entity_type.add(event.entityType)
      columns.entity_id.add(event.entityId)
      columns.action_type.add(event.actionType)
      columns.committed_at.add(event.committedAt)
      columns.body.add(event.body)
      for (const { textOf, column } of facts) column.add(textOf(event))
      count++
    },
    bytes: () => every.reduce((sum, column) => sum + column.bytes(), 0),
    clear() {
      for (const column of every) column.clear()
      count = 0
    },
  }
}

/** What can be read of columns. */
function viewOf(values: () => EventArrays, count: () => number) {
  const text = (array: Buffer, place: number) => itemAt(array, place).toString('utf8')
  return {
    values,
    count,
    at(place: number) {
      const arrays = values()
      return {
        entityType: text(arrays.entity_type, place),
        entityId: text(arrays.entity_id, place),
        actionType: text(arrays.action_type, place),
        commitLsn: itemAt(arrays.commit_lsn, place).readBigUInt64BE(),
        index: itemAt(arrays.index_in_transaction, place).readInt32BE(),
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

/** The columns of a list of events. */
export function eventColumnsOf(events: readonly StoredEvent[]): EventColumns {
  const columns = openEventColumns()
  for (const event of events) columns.add(event)
  return columns
}
