/** For an origin without any history: how long its closing may take to arrive, in ms. */
const doubtMs = 30
/** The lifetime of an observation: a restarting receiver closes everything, once. */
const rememberedMs = 60_000
const maxKnown = 100_000

type Habit = {
  /** A reused connection got a response. */
  isProven: boolean
  /** Connections idle for longer are not reused. */
  keepsForMs: number
  seenAtMs: number
}

/**
 * How receivers keep connections, by origin, so that no request is written to one that is about to close: whether it was read
 * would be unknown.
 *
 * | observation                                       | consequence                                              |
 * | ------------------------------------------------- | -------------------------------------------------------- |
 * | none                                              | its first kept connection is reused after 30 ms          |
 * | `keep-alive`, or a response over a reused one     | reused at once                                           |
 * | it closed an idle one, or one during a request    | reused within half of that idle time, for a minute       |
 */
export function createIdleLimits(nowMs: () => number) {
  const idleLimits = new Map<string, Habit>()

  function of(origin: string): Habit {
    const known = idleLimits.get(origin)
    if (known && (known.isProven || nowMs() - known.seenAtMs <= rememberedMs)) return known
    return { isProven: false, keepsForMs: Number.POSITIVE_INFINITY, seenAtMs: nowMs() }
  }

  function note(origin: string, habit: Habit): void {
    if (idleLimits.size >= maxKnown && !idleLimits.has(origin)) idleLimits.clear()
    idleLimits.set(origin, habit)
  }

  return {
    /** Whether a connection idle for this long may be reused. */
    isKept: (origin: string, idleForMs: number) => idleForMs <= of(origin).keepsForMs,

    /** How long, in ms, to watch a connection before reusing it. */
    doubtMs: (origin: string, idleForMs: number) =>
      of(origin).isProven ? 0 : Math.max(0, doubtMs - idleForMs),

    /** A reused connection got a response, or the receiver says that it keeps them. */
    keeps(origin: string): void {
      const habit = of(origin)
      if (!habit.isProven && habit.keepsForMs === Number.POSITIVE_INFINITY)
        note(origin, { ...habit, isProven: true })
    },

    /** The receiver closed a connection that was idle for this long. */
    closed(origin: string, idleForMs: number): void {
      const keepsForMs = Math.min(of(origin).keepsForMs, idleForMs / 2)
      note(origin, { isProven: false, keepsForMs, seenAtMs: nowMs() })
    },
  }
}

export type IdleLimits = ReturnType<typeof createIdleLimits>
