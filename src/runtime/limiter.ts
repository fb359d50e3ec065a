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

/** Who has places, and who waits for one. */
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
 * Limits how much is done at once. Whoever finds no place waits a while; keys that wait get places in turn, so that one
 * that asks often does not hold up the others. Memory is bounded by `most` and `mostWaiting`.
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
    /** A place for `key`, to be given back; null where none came free in time, or too many wait. */
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

/** Gives what is free to those who wait. */
function fill(places: Places): void {
  const { limits, waiting } = places
  for (const [key, waiters] of waiting) {
    if (places.held >= limits.most || places.given >= limits.mostPerTurn) return
    if (!canEnter(places, key)) continue
    const next = waiters[0]!
    // The others of this key come after those of other keys.
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
