import { type Bucket, type RatePolicy, type Taken, take } from '../../domain/access/rate.ts'
import type { Caller } from '../kit/control.ts'

/** For programs and pages alike far more than they need, and less than a loop without a pause. */
export const usualRate: RatePolicy = { quota: 3_000, windowS: 60 }

/** More tokens than anybody makes. */
const maxTokens = 10_000

/** Counts the calls of each token, by the API and by pages together. */
export function createRates(policy: RatePolicy, nowMs: () => number) {
  const buckets = new Map<number | null, Bucket>()
  return {
    policy,
    /** Takes one call; whether the token may make it. */
    take({ tokenId }: Caller): Taken {
      const taken = take(buckets.get(tokenId), policy, nowMs())
      buckets.delete(tokenId)
      buckets.set(tokenId, taken.bucket)
      if (buckets.size > maxTokens) buckets.delete(buckets.keys().next().value!)
      return taken
    },
  }
}

export type Rates = ReturnType<typeof createRates>
