import { describeError } from '../../runtime/log.ts'

/** What came of work that may fail. */
export type Tried<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly because: string }

/**
 * Does work that needs nothing but the processor, and once more if it fails: what fails again fails always, and so does what
 * is too long.
 */
export function twice<T>(work: () => T): Tried<T> {
  for (let tries = 1; ; tries++)
    try {
      return { ok: true, value: work() }
    } catch (error) {
      if (tries === 2 || error instanceof RangeError)
        return { ok: false, because: describeError(error).slice(0, 500) }
    }
}
