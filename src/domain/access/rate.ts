/** At most `quota` calls per `windowS` seconds, refilled evenly. */
export type RatePolicy = { readonly quota: number; readonly windowS: number }

/** How many calls were left at `atMs` (ms of a monotonic clock). */
export type Bucket = { readonly left: number; readonly atMs: number }

export type Taken = {
  readonly bucket: Bucket
  readonly isAllowed: boolean
  /** Whole calls left. */
  readonly remaining: number
  /** Seconds until the quota is full, and until one call is available (0 if one is). */
  readonly resetS: number
  readonly retryAfterS: number
}

/** Takes one call from a bucket (undefined: a full one). A refused call costs nothing. */
export function take(bucket: Bucket | undefined, policy: RatePolicy, nowMs: number): Taken {
  const perMs = policy.quota / (policy.windowS * 1000)
  const before = bucket ?? { left: policy.quota, atMs: nowMs }
  const there = Math.min(policy.quota, before.left + Math.max(0, nowMs - before.atMs) * perMs)
  const isAllowed = there >= 1
  const left = isAllowed ? there - 1 : there
  const secondsFor = (calls: number) => Math.max(0, Math.ceil(calls / perMs / 1000))
  return {
    bucket: { left, atMs: nowMs },
    isAllowed,
    remaining: Math.floor(left),
    resetS: secondsFor(policy.quota - left),
    retryAfterS: isAllowed ? 0 : Math.max(1, secondsFor(1 - left)),
  }
}
