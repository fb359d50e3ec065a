type Heard = { readonly id: number; readonly beat: bigint; readonly hasSession: boolean }

/** Each of the others by its id: its beat, for how long it has been the same, and whether its session is there. */
export type Silences = ReadonlyMap<number, Omit<Heard, 'id'> & { readonly silentMs: number }>

/** One that is taken for dead, as of its last beat. */
export type Dead = Heard & { readonly silentMs: number }

/**
 * What one beat of ours counts for, at the most: half as much again as the time between two. Where ours did not go through for
 * longer, because the database was away, those of the others did not either.
 */
const mostCountedMs = 1_500

/** What the answer to our newest beat tells of the others, `passedMs` after the one before it. */
export function noteBeats(before: Silences, holders: readonly Heard[], passedMs: number): Silences {
  return new Map(
    holders.map(({ id, beat, hasSession }) => {
      const known = before.get(id)
      const silentMs = known?.beat === beat ? known.silentMs + Math.min(passedMs, mostCountedMs) : 0
      return [id, { beat, hasSession, silentMs }]
    }),
  )
}
