const lagLimitMs = 30_000
/** Batches and server answers take at most about a second: anything longer than this is stuck. */
const stallLimitMs = 20_000

/**
 * Measures lag by pending work rather than past work: the oldest unstored batch, and the silence of a server that is asked
 * every few seconds.
 */
export function createProgress(options: {
  nowMs: () => number
  /** The slow statement that capture waits for, in words; null: none. */
  waitsFor: () => string | null
}) {
  const { nowMs } = options
  let waitingSinceMs: number | null = null
  let behindMs = 0
  let silentMs = () => 0

  /** Why nothing is stored although changes are pending, in words; null: all is well. */
  function stall(): string | null {
    const waitedMs = waitingSinceMs === null ? 0 : nowMs() - waitingSinceMs
    if (waitedMs > stallLimitMs) {
      const why = options.waitsFor()
      return `changes read ${seconds(waitedMs)} ago are not stored yet${why === null ? '' : `: ${why}`}`
    }
    return silentMs() > stallLimitMs ? `the server has sent nothing for ${seconds(silentMs())}` : null
  }

  return {
    stall,
    /** Why capture lags, in words; null: it does not. */
    lag(): string | null {
      const stalled = stall()
      if (stalled !== null || waitingSinceMs === null || behindMs <= lagLimitMs) return stalled
      return `the last stored change was committed ${seconds(behindMs)} before`
    },
    /** A new stream, with its server's silence in ms. */
    begin(silence: () => number) {
      silentMs = silence
      waitingSinceMs = null
    },
    /** Since when the oldest read batch is unstored; null: none. */
    waiting(sinceMs: number | null) {
      waitingSinceMs = sinceMs
    },
    stored(committedAt: Date) {
      behindMs = nowMs() - committedAt.getTime()
    },
  }
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`
