import { type Bucket, type RatePolicy, type Taken, take } from '../../domain/access/rate.ts'
import type { Caller } from '../kit/control.ts'
import { holderKey } from './credentials.ts'

/** Far more than programs and pages need, and less than a loop without a pause. */
export const defaultRate: RatePolicy = { quota: 3_000, windowS: 60 }

/** More tokens and tenants than are ever active. */
const maxHolders = 20_000

/** Counts the calls of each token, or of a tenant's tokens together, for API and pages. */
export function createRates(policy: RatePolicy, nowMs: () => number) {
  const buckets = new Map<string, Bucket>()
  return {
    policy,
    /** Takes one call, if the limit permits it. */
    take(caller: Caller): Taken {
      const key = holderKey(caller)
      const taken = take(buckets.get(key), policy, nowMs())
      buckets.delete(key)
      buckets.set(key, taken.bucket)
      if (buckets.size > maxHolders) buckets.delete(buckets.keys().next().value!)
      return taken
    },
  }
}

export type Rates = ReturnType<typeof createRates>
