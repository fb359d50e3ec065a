/** The holder of a share; null: none. */
export type ShareOf = { readonly share: number; readonly holderId: number | null }

/** How many free shares a holder claims, and which of its own it releases. */
type SharePlan = { readonly claim: number; readonly release: readonly number[] }

/**
 * Divides the shares evenly over the live holders; the oldest have one more if necessary. Every holder computes the same
 * plan: holders with too many release, and holders with too few claim free shares.
 */
export function planShares({
  me,
  holders,
  shares,
}: {
  readonly me: number
  /** The ids of the live holders, in any order; with or without `me`. */
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
