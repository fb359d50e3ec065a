/** Each of the others by its id: its beat, and for how long it has been the same. */
export type Silences = ReadonlyMap<number, { readonly beat: bigint; readonly silentMs: number }>

/**
 * What one beat of ours counts for, at the most: half as much again as the time between two. Where ours did not go through for
 * longer, because the database was away, those of the others did not either.
 */
const mostCountedMs = 1_500

/** What the answer to our newest beat tells of the others, `passedMs` after the one before it. */
export function noteBeats(
  before: Silences,
  holders: readonly { readonly id: number; readonly beat: bigint }[],
  passedMs: number,
): Silences {
  return new Map(
    holders.map(({ id, beat }) => {
      const known = before.get(id)
      const silentMs = known?.beat === beat ? known.silentMs + Math.min(passedMs, mostCountedMs) : 0
      return [id, { beat, silentMs }]
    }),
  )
}
