import type { StoredEvent } from '../domain/event.ts'
import {
  arrayLiteral,
  itemAt,
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

type EventArrays = Record<(typeof columnNames)[number], Buffer> &
  Record<keyof typeof factTexts, Buffer | null>

const columnNames = [
  'ids',
  'commitLsns',
  'indexes',
  'entityTypes',
  'entityIds',
  'actionTypes',
  'committedAts',
  'bodies',
] as const

/** Without REPLICA IDENTITY FULL no event has any of these, and nothing of them is sent. */
const factTexts = {
  previous: ({ facts }: StoredEvent) => facts?.previous ?? null,
  changed: ({ facts }: StoredEvent) => (facts?.changed ? arrayLiteral(facts.changed) : null),
  omitted: ({ facts }: StoredEvent) => (facts?.omitted ? arrayLiteral(facts.omitted) : null),
}

/** Opens columns without an event. */
export function openEventColumns(): EventColumns {
  const columns = {
    ids: openInt8Array(),
    commitLsns: openLsnArray(),
    indexes: openInt4Array(),
    entityTypes: openTextArray(),
    entityIds: openTextArray(),
    actionTypes: openTextArray(),
    committedAts: openTimestamptzArray(),
    bodies: openTextArray(),
  } satisfies Record<(typeof columnNames)[number], unknown>
  const facts = Object.entries(factTexts).map(([name, textOf]) => ({
    name,
    textOf,
    column: openTextArray(),
  }))
  const every = [...Object.values(columns), ...facts.map(({ column }) => column)]
  let count = 0

  const values = () => {
    const named = columnNames.map(name => [name, columns[name].value()])
    const known = facts.map(({ name, column }) => [name, column.valueOrNull()])
    return Object.fromEntries([...named, ...known]) as EventArrays
  }

  return {
    ...viewOf(values, () => count),
    add(event) {
      columns.ids.add(event.id)
      columns.commitLsns.add(event.commitLsn)
      columns.indexes.add(event.index)
      columns.entityTypes.add(event.entityType)
      columns.entityIds.add(event.entityId)
      columns.actionTypes.add(event.actionType)
      columns.committedAts.add(event.committedAt)
      columns.bodies.add(event.body)
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
      const { entityTypes, entityIds, actionTypes, commitLsns, indexes } = values()
      return {
        entityType: text(entityTypes, place),
        entityId: text(entityIds, place),
        actionType: text(actionTypes, place),
        commitLsn: itemAt(commitLsns, place).readBigUInt64BE(),
        index: itemAt(indexes, place).readInt32BE(),
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
