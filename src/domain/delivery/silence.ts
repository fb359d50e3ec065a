type Heard = { readonly id: number; readonly beat: bigint; readonly hasSession: boolean }

/** The other holders by id: heartbeat, the time that it is unchanged, and whether its session exists. */
export type Silences = ReadonlyMap<number, Omit<Heard, 'id'> & { readonly silentMs: number }>

/** A holder that is considered dead, with its last heartbeat. */
export type Dead = Heard & { readonly silentMs: number }

/**
 * The most that one of our own heartbeats counts: 1.5 intervals. If ours was late because the database was down, the others'
 * were too.
 */
const maxCountedMs = 1_500

/** The silences of the other holders, `passedMs` after our heartbeat before this one. */
export function noteBeats(before: Silences, holders: readonly Heard[], passedMs: number): Silences {
  return new Map(
    holders.map(({ id, beat, hasSession }) => {
      const known = before.get(id)
      const silentMs = known?.beat === beat ? known.silentMs + Math.min(passedMs, maxCountedMs) : 0
      return [id, { beat, hasSession, silentMs }]
    }),
  )
}
