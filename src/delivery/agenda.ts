const longestRestMs = 1_000
/** Of a webhook, so many moments are known at which something of it is due. */
const mostKnown = 32

/**
 * What this process knows of when which webhook has something due, so that the database is asked about those that
 * matter, and about all of them only when a commit to the outbox may have changed anything, or after a while.
 *
 * Whatever is noted while an answer is on its way is younger than the answer, and is kept: `version` tells.
 * Times are in ms on one clock that never goes back.
 */
export function createAgenda(options: { slowPollMs: number }) {
  /** The moments at which something of a webhook is due, the earliest first. */
  const entries = new Map<number, { dues: readonly [number, ...number[]]; version: number }>()
  let version = 0
  /** When all webhooks are to be asked about; and before when they are not: asking may fill a quarter of the time. */
  let lookAtMs = Number.NEGATIVE_INFINITY
  let nextLookMs = Number.NEGATIVE_INFINITY

  function note(webhookId: number, dueAtMs: number) {
    version++
    keep(webhookId, [...(entries.get(webhookId)?.dues ?? []), dueAtMs], version)
  }

  function keep(webhookId: number, dues: readonly number[], version: number) {
    const [first, ...rest] = [...new Set(dues)].toSorted((a, b) => a - b)
    if (first === undefined) entries.delete(webhookId)
    else entries.set(webhookId, { dues: [first, ...rest.slice(0, mostKnown - 1)], version })
  }

  const earliest = (webhookId: number) => entries.get(webhookId)?.dues[0] ?? Number.POSITIVE_INFINITY

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
      return [...entries].flatMap(([id, { dues }]) => (dues[0] <= nowMs ? [id] : []))
    },

    version: () => version,

    /** Whether a webhook is known to have something due. */
    isDue: (webhookId: number, nowMs: number) => earliest(webhookId) <= nowMs,

    /** Takes in an answer to `question`, asked at `askedAtMs` when the version was `askedVersion`. */
    answer(
      question: 'all' | readonly number[],
      found: readonly { id: number; dueInMs: number }[],
      asked: { atMs: number; version: number; nowMs: number },
    ) {
      const about = question === 'all' ? [...entries.keys()] : question
      const foundAtMs = new Map(found.map(({ id, dueInMs }) => [id, asked.nowMs + dueInMs]))
      for (const id of new Set([...about, ...foundAtMs.keys()])) {
        const { dues, version } = entries.get(id) ?? { dues: [], version: 0 }
        const earliestMs = foundAtMs.get(id)
        // What was noted since is younger than the answer, which tells only of what is due first.
        const left =
          version > asked.version ? dues : dues.filter(due => earliestMs !== undefined && due > earliestMs)
        keep(id, earliestMs === undefined ? left : [...left, earliestMs], version)
      }
      if (question !== 'all') return
      lookAtMs = Math.min(lookAtMs, asked.nowMs + options.slowPollMs)
      nextLookMs = asked.nowMs + Math.min(3 * (asked.nowMs - asked.atMs), longestRestMs)
    },

    /** A claim that began at `atMs`, when the version was `claimVersion`, has left nothing that was due then. */
    drained(webhookId: number, claimVersion: number, atMs = Number.POSITIVE_INFINITY) {
      const entry = entries.get(webhookId)
      if (!entry || entry.version > claimVersion) return
      keep(
        webhookId,
        entry.dues.filter(due => due > atMs),
        entry.version,
      )
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
      for (const [id, { dues }] of entries)
        nextMs = Math.min(nextMs, dues[0] <= nowMs ? Math.max(nowMs, blockedUntilMs(id)) : dues[0])
      return Math.max(0, nextMs - nowMs)
    },
  }
}

export type Agenda = ReturnType<typeof createAgenda>
