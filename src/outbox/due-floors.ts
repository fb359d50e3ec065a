const slowMs = 20
const trustedMs = 30_000
/** An append may commit this long after its beginning, which is when its lanes are due. */
const longestCommitMs = 60_000

/**
 * Keeps claims fast while a long transaction anywhere in the database keeps Postgres from removing dead index entries: a
 * look for the earliest lane would then pass over every lane that there ever was since. Where looking at all has taken
 * more than 20 ms, what is due is looked for above a floor: the earliest lane that was seen then, and at least a minute
 * back. After half a minute all is looked at again, so that a lane that came into being below is found too.
 * `nowMs` is a clock of this process; the moments are the database's.
 */
export function createDueFloors(nowMs: () => number) {
  let trustedUntilMs = 0
  let floors = new Map<number, Date>()
  let other: Date | null = null

  return {
    /** Of a webhook, by what was seen when all was last looked at; null: none. */
    of: (webhookId: number): Date | null => other && (floors.get(webhookId) ?? other),

    /** Of the webhooks that have their own, and of all others. */
    all: (): { readonly own: ReadonlyMap<number, Date>; readonly other: Date } | null =>
      other && { own: floors, other },

    /** Whether it is time to look at everything. */
    isDoubtful: () => nowMs() >= trustedUntilMs,

    /** All was looked at, in `tookMs`, at the database's moment `at`: these have lanes, the earliest due then. */
    sawAll(seen: { tookMs: number; at: Date; earliest: readonly { id: number; dueAt: Date }[] }) {
      if (seen.tookMs <= slowMs) {
        other = null
        return
      }
      other = new Date(seen.at.getTime() - longestCommitMs)
      const limit = other
      floors = new Map(seen.earliest.filter(({ dueAt }) => dueAt < limit).map(({ id, dueAt }) => [id, dueAt]))
      trustedUntilMs = nowMs() + trustedMs
    },
  }
}

export type DueFloors = ReturnType<typeof createDueFloors>
