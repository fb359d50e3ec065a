/** An origin without words or deeds of its own: so long the end of its connection may take to arrive, in ms. */
const doubtMs = 30
/** What was seen counts so long: a receiver that was being restarted closed everything, once. */
const rememberedMs = 60_000
const mostKnown = 10_000

type Habit = {
  /** A request over a kept connection was answered. */
  isProven: boolean
  /** Connections that were idle for longer are not used again. */
  keepsForMs: number
  seenAtMs: number
}

/**
 * What is known of how receivers keep connections, by origin, so that no request is written to one that is about to be
 * closed: whether it was read could not be known then.
 *
 * | what was seen                                     | what follows                                             |
 * | ------------------------------------------------- | -------------------------------------------------------- |
 * | nothing yet                                       | its first kept connection is used after 30 ms            |
 * | it says `keep-alive`, or a kept one was answered  | used at once                                             |
 * | it closed an idle one, or a request over one      | used for half as long as that one was idle, for a minute |
 */
export function createHabits(nowMs: () => number) {
  const habits = new Map<string, Habit>()

  function of(origin: string): Habit {
    const known = habits.get(origin)
    if (known && (known.isProven || nowMs() - known.seenAtMs <= rememberedMs)) return known
    return { isProven: false, keepsForMs: Number.POSITIVE_INFINITY, seenAtMs: nowMs() }
  }

  function note(origin: string, habit: Habit): void {
    if (habits.size >= mostKnown && !habits.has(origin)) habits.clear()
    habits.set(origin, habit)
  }

  return {
    /** Whether a connection that has been idle for so long may still be used. */
    isKept: (origin: string, idleForMs: number) => idleForMs <= of(origin).keepsForMs,

    /** For how long, in ms, a connection should still be watched before it is used. */
    doubtMs: (origin: string, idleForMs: number) =>
      of(origin).isProven ? 0 : Math.max(0, doubtMs - idleForMs),

    /** A kept connection brought an answer, or the receiver says that it keeps them. */
    keeps(origin: string): void {
      const habit = of(origin)
      if (!habit.isProven && habit.keepsForMs === Number.POSITIVE_INFINITY)
        note(origin, { ...habit, isProven: true })
    },

    /** The receiver closed a connection that had been idle for so long. */
    closed(origin: string, idleForMs: number): void {
      const keepsForMs = Math.min(of(origin).keepsForMs, idleForMs / 2)
      note(origin, { isProven: false, keepsForMs, seenAtMs: nowMs() })
    },
  }
}
