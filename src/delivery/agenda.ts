const longestRestMs = 1_000

/**
 * What this process knows of when which webhook has something due, so that the database is asked about those that
 * matter, and about all of them only when a commit to the outbox may have changed anything, or after a while.
 *
 * Whatever is noted while an answer is on its way is younger than the answer, and is kept: `version` tells.
 * Times are in ms on one clock that never goes back.
 */
export function createAgenda(options: { slowPollMs: number }) {
  const entries = new Map<number, { dueAtMs: number; version: number }>()
  let version = 0
  /** When all webhooks are to be asked about; and before when they are not: asking may fill a quarter of the time. */
  let lookAtMs = Number.NEGATIVE_INFINITY
  let nextLookMs = Number.NEGATIVE_INFINITY

  function note(webhookId: number, dueAtMs: number) {
    const entry = entries.get(webhookId)
    version++
    if (!entry || dueAtMs < entry.dueAtMs) entries.set(webhookId, { dueAtMs, version })
    else entry.version = version
  }

  return {
    note,

    /** Something may be due that nobody has told: all webhooks are to be asked about. */
    lookSoon() {
      version++
      lookAtMs = Number.NEGATIVE_INFINITY
    },

    /** What is to be asked at `nowMs`: about all webhooks, or about those that have something due. */
    question(nowMs: number): 'all' | number[] {
      if (nowMs >= Math.max(lookAtMs, nextLookMs)) {
        lookAtMs = Number.POSITIVE_INFINITY
        return 'all'
      }
      return [...entries].flatMap(([id, { dueAtMs }]) => (dueAtMs <= nowMs ? [id] : []))
    },

    version: () => version,

    /** Whether a webhook is known to have something due. */
    isDue: (webhookId: number, nowMs: number) =>
      (entries.get(webhookId)?.dueAtMs ?? Number.POSITIVE_INFINITY) <= nowMs,

    /** Takes in an answer to `question`, asked at `askedAtMs` when the version was `askedVersion`. */
    answer(
      question: 'all' | readonly number[],
      found: readonly { id: number; dueInMs: number }[],
      asked: { atMs: number; version: number; nowMs: number },
    ) {
      const about = question === 'all' ? [...entries.keys()] : question
      for (const id of about) if ((entries.get(id)?.version ?? 0) <= asked.version) entries.delete(id)
      for (const { id, dueInMs } of found) {
        const entry = entries.get(id)
        const dueAtMs = asked.nowMs + dueInMs
        if (!entry || dueAtMs < entry.dueAtMs) entries.set(id, { dueAtMs, version: entry?.version ?? 0 })
      }
      if (question !== 'all') return
      lookAtMs = Math.min(lookAtMs, asked.nowMs + options.slowPollMs)
      nextLookMs = asked.nowMs + Math.min(3 * (asked.nowMs - asked.atMs), longestRestMs)
    },

    /** A claim that began when the version was `claimVersion` has left nothing due. */
    drained(webhookId: number, claimVersion: number) {
      if ((entries.get(webhookId)?.version ?? 0) <= claimVersion) entries.delete(webhookId)
    },

    /** A failed question: its answer is still wanted. */
    unanswered(question: 'all' | readonly number[]) {
      if (question === 'all') lookAtMs = Number.NEGATIVE_INFINITY
    },

    /**
     * In how many ms the next turn is needed if nothing else happens. A webhook that has no place now is told of
     * by `blockedUntilMs`: the moment at which it may have one, Infinity where only an attempt that ends makes one.
     */
    quietMs(nowMs: number, blockedUntilMs: (webhookId: number) => number): number {
      let nextMs = Math.max(lookAtMs, nextLookMs)
      for (const [id, { dueAtMs }] of entries)
        nextMs = Math.min(nextMs, dueAtMs <= nowMs ? Math.max(nowMs, blockedUntilMs(id)) : dueAtMs)
      return Math.max(0, nextMs - nowMs)
    },
  }
}

export type Agenda = ReturnType<typeof createAgenda>
