import { describeError } from '../../runtime/log.ts'

/** The result of work that may fail. */
type Tried<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly because: string }

/** Runs computation again if it fails: a second failure is permanent, and so is excess length. */
export function tryTwice<T>(work: () => T): Tried<T> {
  for (let tries = 1; ; tries++)
    try {
      return { ok: true, value: work() }
    } catch (error) {
      if (tries === 2 || error instanceof RangeError)
        return { ok: false, because: describeError(error).slice(0, 500) }
    }
}
