import type { Actor } from '../../domain/access/audit.ts'
import type { Failed } from './result.ts'

/** Tests under way at once: in all, to one host and port, and of one caller, or of one tenant. */
const usual = { total: 20, perHost: 5, perCaller: 5 }
/** A test ends within its deadline of 15 s, most of them at once. */
const retryAfterS = 5

/**
 * Counts the tests under way, so that whoever asks for many opens no more connections to a receiver than a webhook with
 * events would. One that finds no place is refused at once, with a sentence and when to try again.
 */
export function createTestPlaces(most: typeof usual = usual) {
  const taken = new Map<string, number>()

  function count(key: string, by: number): void {
    const next = (taken.get(key) ?? 0) + by
    if (next === 0) taken.delete(key)
    else taken.set(key, next)
  }

  return {
    /** Takes a place for a test to `url`; `leave` gives it back. */
    enter(caller: Actor, url: string): { readonly ok: true; readonly leave: () => void } | Failed {
      const host = URL.parse(url)?.host ?? url
      // What a tenant does is no other's matter, also at a host that many have.
      const { kind, name, tokenId, tenant } = caller
      const keys =
        tenant === null
          ? (['all', `host ${host}`, `caller ${kind} ${tokenId ?? name}`] as const)
          : (['all of tenants', `tenant ${tenant} host ${host}`, `tenant ${tenant}`] as const)
      const [all, ofHost, ofCaller] = keys.map(key => taken.get(key) ?? 0) as [number, number, number]
      if (ofCaller >= most.perCaller)
        return busy(`${most.perCaller} tests of yours are under way, and no more may be.`)
      if (ofHost >= most.perHost)
        return busy(`${most.perHost} tests to ${host} are under way, and no more may be.`)
      if (all >= most.total) return busy(`${most.total} tests are under way, and no more may be.`)
      for (const key of keys) count(key, 1)
      let isIn = true
      const leave = () => {
        if (isIn) for (const key of keys) count(key, -1)
        isIn = false
      }
      return { ok: true, leave }
    },
  }
}

export type TestPlaces = ReturnType<typeof createTestPlaces>

function busy(detail: string): Failed {
  return { ok: false, kind: 'busy', detail: `${detail} Try again in ${retryAfterS} s.`, retryAfterS }
}
