const lagLimitMs = 30_000
/** A batch is stored within a second, and the server answers within one: what takes longer than this is stuck. */
const stallLimitMs = 20_000

/**
 * Knows how far capture is behind, by what waits and not by what came through: the oldest batch that was read and is not stored,
 * and how long the server has sent nothing although it is asked every few seconds.
 */
export function createProgress(options: {
  nowMs: () => number
  /** What a statement of capture has been waiting for lately, in words; null: nothing. */
  waitsFor: () => string | null
}) {
  const { nowMs } = options
  let waitingSinceMs: number | null = null
  let behindMs = 0
  let silentMs = () => 0

  /** Why nothing is stored although something waits, in words; null: all is well. */
  function stall(): string | null {
    const waitedMs = waitingSinceMs === null ? 0 : nowMs() - waitingSinceMs
    if (waitedMs > stallLimitMs) {
      const why = options.waitsFor()
      return `what was read ${seconds(waitedMs)} ago is not stored yet${why === null ? '' : `: ${why}`}`
    }
    return silentMs() > stallLimitMs ? `the server has sent nothing for ${seconds(silentMs())}` : null
  }

  return {
    stall,
    /** Why capture is behind, in words; null: it is not. */
    lag(): string | null {
      const stalled = stall()
      if (stalled !== null || waitingSinceMs === null || behindMs <= lagLimitMs) return stalled
      return `what was stored last had been committed ${seconds(behindMs)} before`
    },
    /** A new stream, that says for how long its server has sent nothing. */
    begin(silence: () => number) {
      silentMs = silence
      waitingSinceMs = null
    },
    /** Since when the oldest batch waits that was read and is not stored; null: none. */
    waiting(sinceMs: number | null) {
      waitingSinceMs = sinceMs
    },
    stored(committedAt: Date) {
      behindMs = nowMs() - committedAt.getTime()
    },
  }
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`
