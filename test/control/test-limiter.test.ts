import { expect, test } from 'vitest'
import type { Caller } from '../../src/control/kit/control.ts'
import { createTestLimiter } from '../../src/control/kit/test-limiter.ts'

const caller = (tokenId: number): Caller => ({
  kind: 'token',
  name: `token ${tokenId}`,
  tokenId,
  userId: null,
  role: 'operator',
  tenant: null,
})

test('tests are limited by caller, by host and in total, and a permit is returned once', () => {
  const limiter = createTestLimiter({ total: 5, perHost: 3, perCaller: 2, tenants: 9, more: 9 })
  const acquire = (token: number, url: string) => limiter.acquire(caller(token), url)
  const first = acquire(1, 'https://a.example/x')
  expect(first.ok && acquire(1, 'https://b.example/').ok).toBe(true)
  expect(acquire(1, 'https://c.example/')).toEqual({
    ok: false,
    kind: 'busy',
    detail: expect.stringMatching(/2 tests of yours .* Try again in 5 s\.$/),
    retryAfterS: 5,
  })
  expect([acquire(2, 'https://a.example/y').ok, acquire(2, 'https://a.example:443/z').ok]).toEqual([
    true,
    true,
  ])
  expect(acquire(3, 'https://A.example/')).toMatchObject({ detail: expect.stringContaining('a.example') })
  expect(acquire(3, 'https://a.example:8443/').ok).toBe(true)
  expect(acquire(4, 'https://d.example/')).toMatchObject({ kind: 'busy' })
  if (first.ok) for (let i = 0; i < 2; i++) first.release()
  expect(acquire(3, 'https://a.example/').ok).toBe(true)
  expect(acquire(5, 'https://d.example/')).toMatchObject({ kind: 'busy' })
})

const ofTenant = (tenant: string): Caller => ({ ...caller(1), tenant })

/** How many places each of these tenants gets that asks for all that it can get, at a host of its own. */
function takeAll(limiter: ReturnType<typeof createTestLimiter>, tenants: readonly string[]) {
  const leaves: (() => void)[] = []
  const counts = tenants.map(tenant => {
    for (let got = 0; ; got++) {
      const acquired = limiter.acquire(ofTenant(tenant), `https://${tenant}.example/${got % 2}`)
      if (!acquired.ok) return got
      leaves.push(acquired.release)
    }
  })
  return { counts, leaves }
}
const tenants = (count: number) => Array.from({ length: count }, (_, i) => `tenant-${i}`)

test('busy tenants leave a permit to each other tenant, and the total is limited', () => {
  const limiter = createTestLimiter()
  const { counts, leaves } = takeAll(limiter, tenants(39))
  expect(counts).toEqual([5, 5, 5, 5, 5, ...Array(34).fill(1)])
  expect(limiter.acquire(ofTenant('one more'), 'https://x.example/').ok).toBe(true)
  expect(limiter.acquire(ofTenant('too many'), 'https://x.example/')).toMatchObject({ kind: 'busy' })
  expect(limiter.acquire(ofTenant('tenant-9'), 'https://x.example/')).toMatchObject({
    detail: 'A test of yours is running. There is no capacity for another now. Try again in 5 s.',
  })
  // Nor do they take any place of callers without a tenant.
  expect(limiter.acquire(caller(1), 'https://x.example/').ok).toBe(true)
  expect(leaves).toHaveLength(59)
})

test('tests of tenants return all permits, in any order', () => {
  const limiter = createTestLimiter()
  for (const inOrder of [(all: (() => void)[]) => all, (all: (() => void)[]) => all.toReversed()]) {
    const { counts, leaves } = takeAll(limiter, tenants(40))
    expect(counts.slice(0, 6)).toEqual([5, 5, 5, 5, 5, 1])
    for (const release of inOrder(leaves)) {
      release()
      release()
    }
  }
  const first = takeAll(limiter, ['tenant-0'])
  first.leaves[0]!()
  expect(takeAll(limiter, ['tenant-0']).counts).toEqual([1])
  expect(takeAll(limiter, tenants(40)).counts.filter(count => count > 0)).toHaveLength(39)
})
