/** Gives a place back; calling it again does nothing. */
export type Release = () => void

export type Limits = {
  /** Places that are held at once: in all, and by one key. */
  readonly most: number
  readonly mostOfOne: number
  /** Requests that wait for a place: in all, and of one key. */
  readonly mostWaiting: number
  readonly mostWaitingOfOne: number
  /** A request waits no longer than this. */
  readonly waitMs: number
  /** Places given in one turn of the event loop, so that everything else on it gets its turn too. */
  readonly mostPerTurn: number
  /** A place that was given back rests so many times as long as it was held, at most a second: so much of the time is left to others. */
  readonly restFactor?: number
}

const mostRestMs = 1_000

type Waiter = { readonly enter: (release: Release | null) => void; readonly timer: NodeJS.Timeout }

/**
 * Limits how much is done at once. Whoever finds no place waits a while; keys that wait get places in turn, so that one
 * that asks often does not hold up the others. Memory is bounded by `most` and `mostWaiting`.
 */
export function createLimiter(limits: Limits) {
  let held = 0
  let given = 0
  let isTurnOver = true
  let waitingCount = 0
  const heldBy = new Map<string, number>()
  /** In the order of their turns. */
  const waiting = new Map<string, Waiter[]>()

  function canEnter(key: string): boolean {
    return held < limits.most && given < limits.mostPerTurn && (heldBy.get(key) ?? 0) < limits.mostOfOne
  }

  function take(key: string): Release {
    held++
    given++
    heldBy.set(key, (heldBy.get(key) ?? 0) + 1)
    if (isTurnOver)
      setImmediate(() => {
        isTurnOver = true
        given = 0
        fill()
      })
    isTurnOver = false
    let isReleased = false
    const sinceMs = performance.now()
    const giveBack = () => {
      held--
      const left = heldBy.get(key)! - 1
      if (left === 0) heldBy.delete(key)
      else heldBy.set(key, left)
      fill()
    }
    return () => {
      if (isReleased) return
      isReleased = true
      const restMs = Math.min(mostRestMs, (limits.restFactor ?? 0) * (performance.now() - sinceMs))
      if (restMs > 0) setTimeout(giveBack, restMs).unref()
      else giveBack()
    }
  }

  /** Gives what is free to those who wait. */
  function fill(): void {
    for (const [key, waiters] of waiting) {
      if (held >= limits.most || given >= limits.mostPerTurn) return
      if (!canEnter(key)) continue
      const next = waiters[0]!
      // The others of this key come after those of other keys.
      leave(key, next)
      const rest = waiting.get(key)
      if (rest) {
        waiting.delete(key)
        waiting.set(key, rest)
      }
      next.enter(take(key))
    }
  }

  function leave(key: string, waiter: Waiter): void {
    clearTimeout(waiter.timer)
    const waiters = waiting.get(key)
    const at = waiters?.indexOf(waiter) ?? -1
    if (!waiters || at < 0) return
    waiters.splice(at, 1)
    waitingCount--
    if (waiters.length === 0) waiting.delete(key)
  }

  return {
    /** A place for `key`, to be given back; null where none came free in time, or too many wait. */
    enter(key: string): Promise<Release | null> {
      const waiters = waiting.get(key)
      if (!waiters && canEnter(key)) return Promise.resolve(take(key))
      if (waitingCount >= limits.mostWaiting || (waiters?.length ?? 0) >= limits.mostWaitingOfOne)
        return Promise.resolve(null)
      return new Promise(resolve => {
        const waiter: Waiter = {
          enter: resolve,
          timer: setTimeout(() => {
            leave(key, waiter)
            resolve(null)
          }, limits.waitMs),
        }
        waitingCount++
        if (waiters) waiters.push(waiter)
        else waiting.set(key, [waiter])
      })
    },
    /** A place for `key` at once, or null. */
    tryEnter: (key: string): Release | null => (canEnter(key) ? take(key) : null),
    /** For tests and logs. */
    state: () => ({ held, waiting: waitingCount }),
  }
}

export type Limiter = ReturnType<typeof createLimiter>
