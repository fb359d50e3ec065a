import { sleep } from '../../runtime/sleep.ts'
import { within } from '../../runtime/within.ts'
import type { Outbox } from '../database/database.ts'

/** The time limit of a check, in ms: a dead connection gives neither an error nor a response. */
const responseTimeoutMs = 2_000
/** A result is valid this long; up to `staleMs` while the next check is running. */
const goodForMs = 1_000
const staleMs = 10_000

type Cell = { readonly outbox: Outbox }

type Asked = { why: string | null; atMs: number; running: Promise<string | null> | null }

const asked = new WeakMap<Outbox, Asked>()

/**
 * Why a cell does not respond, or null. At most one check per second for all callers. While a cell is away, callers get that
 * result at once: only the first one, and the first after ten quiet seconds, wait for it, at most 2 s.
 */
export async function whyAway({ outbox }: Cell, nowMs = () => performance.now()): Promise<string | null> {
  const known = asked.get(outbox) ?? { why: null, atMs: Number.NEGATIVE_INFINITY, running: null }
  asked.set(outbox, known)
  const ageMs = nowMs() - known.atMs
  if (ageMs < goodForMs) return known.why
  known.running ??= within(responseTimeoutMs, outbox.pool.query('select'))
    .then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)) || 'no connection',
    )
    .then(why => {
      Object.assign(known, { why, atMs: nowMs(), running: null })
      return why
    })
  return known.why !== null && ageMs < staleMs ? known.why : await known.running
}

/** Makes the next caller check the cell again, after a failed statement. */
export function askAgain({ outbox }: Cell): void {
  const known = asked.get(outbox)
  if (known) known.atMs = Number.NEGATIVE_INFINITY
}

const pollEveryMs = 1_000

/** Resolves like `promise`; rejects if a check of the cell, once a second, fails meanwhile. */
export async function whileReachable<T>(
  cell: Cell & { readonly name: string },
  promise: Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  const check = async (): Promise<never> => {
    for (;;) {
      await sleep(pollEveryMs, ended.signal)
      if (ended.signal.aborted) return await new Promise<never>(() => {})
      const why = await whyAway(cell)
      if (why !== null) throw new Error(`the cell ${cell.name} does not answer: ${why}`)
    }
  }
  return await Promise.race([promise, check()]).finally(() => ended.abort())
}
