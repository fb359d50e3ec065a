/** Returns a place; repeated calls have no effect. */
export type Release = () => void

export type Limits = {
  /** Held places: in all, and per key. */
  readonly most: number
  readonly mostOfOne: number
  /** Waiting requests: in all, and per key. */
  readonly mostWaiting: number
  readonly mostWaitingOfOne: number
  /** The longest wait of a request. */
  readonly waitMs: number
  /** Places given per turn of the event loop, so that other work gets its turn. */
  readonly mostPerTurn: number
  /** A returned place rests this many times as long as it was held, at most a second: that share of time is left to others. */
  readonly restFactor?: number
}

const mostRestMs = 1_000

type Waiter = { readonly enter: (release: Release | null) => void; readonly timer: NodeJS.Timeout }

/** The holders of places, and the queue. */
type Places = {
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
 * Limits concurrency. Without a free place a request waits; waiting keys get places in turn, so that a busy one does not
 * block others. `most` and `mostWaiting` bound memory.
 */
export function createLimiter(limits: Limits) {
  const places: Places = {
    limits,
    held: 0,
    heldBy: new Map(),
    given: 0,
    isTurnOver: true,
    waitingCount: 0,
    waiting: new Map(),
  }
  return {
    /** A place for `key`, to be returned; null: none became free in time, or the queue is full. */
    enter(key: string): Promise<Release | null> {
      const ofKey = places.waiting.get(key)
      if (!ofKey && canEnter(places, key)) return Promise.resolve(take(places, key))
      if (places.waitingCount >= limits.mostWaiting || (ofKey?.length ?? 0) >= limits.mostWaitingOfOne)
        return Promise.resolve(null)
      return waitFor(places, key)
    },
    /** A place for `key` at once, or null. */
    tryEnter: (key: string): Release | null => (canEnter(places, key) ? take(places, key) : null),
    /** For tests and logs. */
    state: () => ({ held: places.held, waiting: places.waitingCount }),
  }
}

function canEnter({ limits, held, given, heldBy }: Places, key: string): boolean {
  return held < limits.most && given < limits.mostPerTurn && (heldBy.get(key) ?? 0) < limits.mostOfOne
}

function take(places: Places, key: string): Release {
  places.held++
  places.given++
  places.heldBy.set(key, (places.heldBy.get(key) ?? 0) + 1)
  if (places.isTurnOver)
    setImmediate(() => {
      places.isTurnOver = true
      places.given = 0
      fill(places)
    })
  places.isTurnOver = false
  let isReleased = false
  const sinceMs = performance.now()
  return () => {
    if (isReleased) return
    isReleased = true
    const restMs = Math.min(mostRestMs, (places.limits.restFactor ?? 0) * (performance.now() - sinceMs))
    if (restMs > 0) setTimeout(giveBack, restMs, places, key).unref()
    else giveBack(places, key)
  }
}

function giveBack(places: Places, key: string): void {
  places.held--
  const left = places.heldBy.get(key)! - 1
  if (left === 0) places.heldBy.delete(key)
  else places.heldBy.set(key, left)
  fill(places)
}

/** Gives free places to waiting requests. */
function fill(places: Places): void {
  const { limits, waiting } = places
  for (const [key, waiters] of waiting) {
    if (places.held >= limits.most || places.given >= limits.mostPerTurn) return
    if (!canEnter(places, key)) continue
    const next = waiters[0]!
    // The key's next request waits behind other keys.
    leave(places, key, next)
    const rest = waiting.get(key)
    if (rest) {
      waiting.delete(key)
      waiting.set(key, rest)
    }
    next.enter(take(places, key))
  }
}

function waitFor(places: Places, key: string): Promise<Release | null> {
  return new Promise(resolve => {
    const waiter: Waiter = {
      enter: resolve,
      timer: setTimeout(() => {
        leave(places, key, waiter)
        resolve(null)
      }, places.limits.waitMs),
    }
    places.waitingCount++
    const ofKey = places.waiting.get(key)
    if (ofKey) ofKey.push(waiter)
    else places.waiting.set(key, [waiter])
  })
}

function leave(places: Places, key: string, waiter: Waiter): void {
  clearTimeout(waiter.timer)
  const ofKey = places.waiting.get(key)
  const at = ofKey?.indexOf(waiter) ?? -1
  if (!ofKey || at < 0) return
  ofKey.splice(at, 1)
  places.waitingCount--
  if (ofKey.length === 0) places.waiting.delete(key)
}

export type Limiter = ReturnType<typeof createLimiter>
