import type { Actor } from '../../domain/access/audit.ts'
import type { Failed } from './result.ts'

/**
 * The limits of simultaneous tests.
 *
 *   total, perHost   of callers without a tenant: in all, and to one host and port
 *   perCaller        of one caller, or of one tenant, also to one host
 *   tenants          of tenants' first tests: a few tenants can't use up those of others
 *   more             of all tenants' further tests
 */
const defaults = { total: 20, perHost: 5, perCaller: 5, tenants: 40, more: 20 }
/** A test ends within its deadline of 15 s, most of them at once. */
const retryAfterS = 5

type Acquired = { readonly ok: true; readonly release: () => void } | Failed

/**
 * Counts running tests, so that many tests open no more connections to a receiver than a webhook with events. Above the
 * limit, a test is refused at once, with a time to try again.
 */
export function createTestLimiter(max: typeof defaults = defaults) {
  const taken = new Map<string, number>()
  const of = (key: string) => taken.get(key) ?? 0

  function count(key: string, by: number): void {
    const next = of(key) + by
    if (next === 0) taken.delete(key)
    else taken.set(key, next)
  }

  /** Takes what `change(1)` takes; `release` returns it once. */
  function acquired(change: (by: 1 | -1) => void): Acquired {
    change(1)
    let isHeld = true
    const release = () => {
      if (isHeld) change(-1)
      isHeld = false
    }
    return { ok: true, release }
  }

  const callersBusy = () => busy(`${max.perCaller} tests of yours are running. No more can run at once.`)
  const hostBusy = (host: string) =>
    busy(`${max.perHost} tests to ${host} are running. No more can run at once.`)

  /** A tenant's tests do not limit other tenants, not even at a common host. */
  function acquireOfTenant(tenant: string, host: string): Acquired {
    const [all, atHost] = [`tenant ${tenant}`, `tenant ${tenant} host ${host}`]
    if (of(all) >= max.perCaller) return callersBusy()
    if (of(atHost) >= max.perHost) return hostBusy(host)
    if (of(all) === 0 && of('tenants') >= max.tenants)
      return busy(`${max.tenants} tests are running. No more can run at once.`)
    if (of(all) > 0 && of('more') >= max.more)
      return busy('A test of yours is running. There is no capacity for another now.')
    return acquired(by => {
      const before = of(all)
      count(all, by)
      count(atHost, by)
      // The last test to end returns the first permit, whichever it had.
      count(Math.min(before, of(all)) === 0 ? 'tenants' : 'more', by)
    })
  }

  return {
    /** Takes a permit for a test to `url`; `release` returns it. */
    acquire({ kind, name, tokenId, tenant }: Actor, url: string): Acquired {
      const host = URL.parse(url)?.host ?? url
      if (tenant !== null) return acquireOfTenant(tenant, host)
      const keys = ['all', `host ${host}`, `caller ${kind} ${tokenId ?? name}`] as const
      const [all, ofHost, ofCaller] = keys.map(of) as [number, number, number]
      if (ofCaller >= max.perCaller) return callersBusy()
      if (ofHost >= max.perHost) return hostBusy(host)
      if (all >= max.total) return busy(`${max.total} tests are running. No more can run at once.`)
      return acquired(by => {
        for (const key of keys) count(key, by)
      })
    },
  }
}

export type TestLimiter = ReturnType<typeof createTestLimiter>

function busy(detail: string): Failed {
  return { ok: false, kind: 'busy', detail: `${detail} Try again in ${retryAfterS} s.`, retryAfterS }
}
