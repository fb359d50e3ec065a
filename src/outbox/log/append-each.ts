import type { PoolClient } from 'pg'
import type { ActionType, ParkedChange } from '../../domain/event/event.ts'
import { describeError } from '../../runtime/log.ts'
import { append } from './append.ts'
import type { EventColumns } from './event-columns.ts'

type AppendInput = Parameters<typeof append>[1]

/** Errors by which Postgres refuses data permanently. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const refusedClasses = new Set(['22', '23', '54', 'P0'])
/** A duplicate identity, and a missing day: not caused by the data. */
const ofOurs = new Set(['23505', '23503'])
/** Data that exceeds the memory of PostgreSQL, a string or a buffer. */
const tooLarge = /invalid memory alloc request size|out of memory|Invalid string length|ERR_OUT_OF_RANGE/

/** Whether an error is caused by the events, rather than by the database. */
export function isRefused(error: unknown): boolean {
  const {
    code = '',
    constraint,
    message = '',
  } = error as { code?: string; constraint?: string; message?: string }
  if (ofOurs.has(code) || (code.startsWith('23') && constraint === undefined)) return false
  return (code.length === 5 && refusedClasses.has(code.slice(0, 2))) || tooLarge.test(`${code} ${message}`)
}

const outOfMemory = '53200'
/** A server that lacks memory for less than this lacks it for everything. */
const largeBytes = 16_000_000

/** Whether the server has too little memory at the moment, whatever the event. */
const isShortOfMemory = (error: unknown, event: EventColumns) =>
  (error as { code?: string }).code === outOfMemory && event.bytes() < largeBytes

/** More refusals without any success are not caused by single events. */
const maxRefused = 3

/**
 * Appends events, some of them refused: bisects to those, parks them with the reason, and stores the others.
 * `client` is in a transaction, so that all become visible together.
 */
export async function appendEach(
  client: PoolClient,
  { events, parked, expected, ...rest }: AppendInput & { events: EventColumns },
): Promise<{ webhooksVersion: number; setAside: ParkedChange[] }> {
  const setAside: ParkedChange[] = []
  let position = expected
  let stored = 0

  async function take(from: number, to: number): Promise<void> {
    if (from === to) return
    try {
      await store(events.slice(from, to), [])
      stored += to - from
    } catch (error) {
      if (!isRefused(error)) throw error
      if (to - from === 1 && isShortOfMemory(error, events.slice(from, to))) throw error
      if (to - from === 1) setAside.push(toParked(events, from, error))
      else {
        const middle = (from + to) >> 1
        await take(from, middle)
        await take(middle, to)
      }
      if (stored === 0 && setAside.length > maxRefused) throw error
    }
  }

  async function store(some: EventColumns, aside: readonly ParkedChange[]) {
    await client.query('savepoint piece')
    let appended: Awaited<ReturnType<typeof append>>
    try {
      appended = await append(client, { ...rest, expected: position, events: some, parked: aside })
      position = rest.commitLsn
    } catch (error) {
      await client.query('rollback to savepoint piece')
      throw error
    }
    await client.query('release savepoint piece')
    return appended
  }

  await take(0, events.count())
  const { webhooksVersion } = await store(events.slice(0, 0), [...parked, ...setAside])
  return { webhooksVersion, setAside }
}

function toParked(events: EventColumns, at: number, error: unknown): ParkedChange {
  const { entityType, entityId, actionType, commitLsn, index } = events.at(at)
  return {
    entityType,
    entityId: entityId.slice(0, 200),
    actionType: actionType as ActionType,
    commitLsn,
    index,
    reason: `the outbox refuses the event: ${describeError(error)}`.slice(0, 1_000),
  }
}
