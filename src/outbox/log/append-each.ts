import type { PoolClient } from 'pg'
import type { ActionType, ParkedChange } from '../../domain/event/event.ts'
import { describeError } from '../../runtime/log.ts'
import { append } from './append.ts'
import type { EventColumns } from './event-columns.ts'

type AppendInput = Parameters<typeof append>[1]

/** Errors by which Postgres refuses what it was given, and would refuse it again. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const refusedClasses = new Set(['22', '23', '54', 'P0'])
/** An identity that is there already, and a day that is not: neither is about what was given. */
const ofOurs = new Set(['23505', '23503'])
/** What does not fit into memory: of PostgreSQL, of a text, of a buffer. */
const tooLarge = /invalid memory alloc request size|out of memory|Invalid string length|ERR_OUT_OF_RANGE/

/** Whether an error is about the events that were to be stored, and not about where they were to be stored. */
export function isRefused(error: unknown): boolean {
  const {
    code = '',
    constraint,
    message = '',
  } = error as { code?: string; constraint?: string; message?: string }
  if (ofOurs.has(code) || (code.startsWith('23') && constraint === undefined)) return false
  return (code.length === 5 && refusedClasses.has(code.slice(0, 2))) || tooLarge.test(`${code} ${message}`)
}

/** So many refusals, and nothing that was stored: it is not about single events. */
const mostRefused = 3

/**
 * Appends events of which some are refused: halves them until those stand alone, stores all others, and sets these aside with
 * the reason. `client` is in a transaction, so that all of it becomes visible together.
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
      if (to - from === 1) setAside.push(toParked(events, from, error))
      else {
        const middle = (from + to) >> 1
        await take(from, middle)
        await take(middle, to)
      }
      if (stored === 0 && setAside.length > mostRefused) throw error
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
    reason: `the outbox refuses its event: ${describeError(error)}`.slice(0, 1_000),
  }
}
