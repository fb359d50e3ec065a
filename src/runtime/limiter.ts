/** Returns a permit; repeated calls have no effect. */
export type Release = () => void

export type Limits = {
  /** Held permits: in all, and per key. */
  readonly max: number
  readonly maxOfOne: number
  /** Waiting requests: in all, and per key. */
  readonly maxWaiting: number
  readonly maxWaitingOfOne: number
  /** The longest wait of a request. */
  readonly waitMs: number
  /** Permits given per turn of the event loop, so that other work gets its turn. */
  readonly maxPerTurn: number
  /** A returned permit rests this many times as long as it was held, at most a second: that share of time is left to others. */
  readonly restFactor?: number
}

const maxRestMs = 1_000

type Waiter = { readonly resume: (release: Release | null) => void; readonly timer: NodeJS.Timeout }

/** The holders of permits, and the queue. */
type Permits = {
  readonly limits: Limits
  held: number
  readonly heldBy: Map<string, number>
  /** Given in this turn of the event loop. */
  given: number
  isTurnOver: boolean
  waitingCount: number
  /** In the order of their turns. */
  readonly waiting: Map<string, Waiter[]>
}

/**
 * Limits concurrency. Without a free permit a request waits; waiting keys get permits in turn, so that a busy one does not
 * block others. `max` and `maxWaiting` bound memory.
 */
export function createLimiter(limits: Limits) {
  const permits: Permits = {
    limits,
    held: 0,
    heldBy: new Map(),
    given: 0,
    isTurnOver: true,
    waitingCount: 0,
    waiting: new Map(),
  }
  return {
    /** A permit for `key`, to be returned; null: none became free in time, or the queue is full. */
    acquire(key: string): Promise<Release | null> {
      const ofKey = permits.waiting.get(key)
      if (!ofKey && canAcquire(permits, key)) return Promise.resolve(take(permits, key))
      if (permits.waitingCount >= limits.maxWaiting || (ofKey?.length ?? 0) >= limits.maxWaitingOfOne)
        return Promise.resolve(null)
      return waitFor(permits, key)
    },
    /** A permit for `key` at once, or null. */
    tryAcquire: (key: string): Release | null => (canAcquire(permits, key) ? take(permits, key) : null),
    /** For tests and logs. */
    state: () => ({ held: permits.held, waiting: permits.waitingCount }),
  }
}

function canAcquire({ limits, held, given, heldBy }: Permits, key: string): boolean {
  return held < limits.max && given < limits.maxPerTurn && (heldBy.get(key) ?? 0) < limits.maxOfOne
}

function take(permits: Permits, key: string): Release {
  permits.held++
  permits.given++
  permits.heldBy.set(key, (permits.heldBy.get(key) ?? 0) + 1)
  if (permits.isTurnOver)
    setImmediate(() => {
      permits.isTurnOver = true
      permits.given = 0
      fill(permits)
    })
  permits.isTurnOver = false
  let isReleased = false
  const sinceMs = performance.now()
  return () => {
    if (isReleased) return
    isReleased = true
    const restMs = Math.min(maxRestMs, (permits.limits.restFactor ?? 0) * (performance.now() - sinceMs))
    if (restMs > 0) setTimeout(release, restMs, permits, key).unref()
    else release(permits, key)
  }
}

function release(permits: Permits, key: string): void {
  permits.held--
  const left = permits.heldBy.get(key)! - 1
  if (left === 0) permits.heldBy.delete(key)
  else permits.heldBy.set(key, left)
  fill(permits)
}

/** Gives free permits to waiting requests. */
function fill(permits: Permits): void {
  const { limits, waiting } = permits
  for (const [key, waiters] of waiting) {
    if (permits.held >= limits.max || permits.given >= limits.maxPerTurn) return
    if (!canAcquire(permits, key)) continue
    const next = waiters[0]!
    // The key's next request waits behind other keys.
    leave(permits, key, next)
    const rest = waiting.get(key)
    if (rest) {
      waiting.delete(key)
      waiting.set(key, rest)
    }
    next.resume(take(permits, key))
  }
}

function waitFor(permits: Permits, key: string): Promise<Release | null> {
  return new Promise(resolve => {
    const waiter: Waiter = {
      resume: resolve,
      timer: setTimeout(() => {
        leave(permits, key, waiter)
        resolve(null)
      }, permits.limits.waitMs),
    }
    permits.waitingCount++
    const ofKey = permits.waiting.get(key)
    if (ofKey) ofKey.push(waiter)
    else permits.waiting.set(key, [waiter])
  })
}

function leave(permits: Permits, key: string, waiter: Waiter): void {
  clearTimeout(waiter.timer)
  const ofKey = permits.waiting.get(key)
  const at = ofKey?.indexOf(waiter) ?? -1
  if (!ofKey || at < 0) return
  ofKey.splice(at, 1)
  permits.waitingCount--
  if (ofKey.length === 0) permits.waiting.delete(key)
}

export type Limiter = ReturnType<typeof createLimiter>
