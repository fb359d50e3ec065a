/** Who serves a share; null: nobody. */
export type ShareOf = { readonly share: number; readonly holderId: number | null }

/** How many free shares a holder is to claim, and which of its own it is to release. */
export type SharePlan = { readonly claim: number; readonly release: readonly number[] }

/**
 * Divides the shares evenly over the holders that live: each has the same number, and the oldest holders one more where
 * they can't all have the same. Every holder comes to the same result by itself: whoever has too many releases, whoever
 * has too few claims what is free.
 */
export function planShares({
  me,
  holders,
  shares,
}: {
  readonly me: number
  /** The ids of the holders that live, in any order; with or without `me`. */
  readonly holders: readonly number[]
  readonly shares: readonly ShareOf[]
}): SharePlan {
  const living = [...new Set([...holders, me])].toSorted((a, b) => a - b)
  const rank = living.indexOf(me)
  const target = Math.floor(shares.length / living.length) + (rank < shares.length % living.length ? 1 : 0)
  const mine = shares.filter(({ holderId }) => holderId === me).map(({ share }) => share)
  const free = shares.filter(({ holderId }) => holderId === null).length
  return {
    claim: Math.max(0, Math.min(free, target - mine.length)),
    release: mine.toSorted((a, b) => a - b).slice(target),
  }
}
