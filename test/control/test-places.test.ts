import { expect, test } from 'vitest'
import type { Caller } from '../../src/control/kit/control.ts'
import { createTestPlaces } from '../../src/control/kit/test-places.ts'

const caller = (tokenId: number): Caller => ({
  kind: 'token',
  name: `token ${tokenId}`,
  tokenId,
  userId: null,
  role: 'operator',
  tenant: null,
})

test('tests are bounded by caller, by host and in all, and a place is given back once', () => {
  const places = createTestPlaces({ total: 5, perHost: 3, perCaller: 2, tenants: 9, more: 9 })
  const enter = (token: number, url: string) => places.enter(caller(token), url)
  const first = enter(1, 'https://a.example/x')
  expect(first.ok && enter(1, 'https://b.example/').ok).toBe(true)
  expect(enter(1, 'https://c.example/')).toEqual({
    ok: false,
    kind: 'busy',
    detail: expect.stringMatching(/2 tests of yours .* Try again in 5 s\.$/),
    retryAfterS: 5,
  })
  expect([enter(2, 'https://a.example/y').ok, enter(2, 'https://a.example:443/z').ok]).toEqual([true, true])
  expect(enter(3, 'https://A.example/')).toMatchObject({ detail: expect.stringContaining('a.example') })
  expect(enter(3, 'https://a.example:8443/').ok).toBe(true)
  expect(enter(4, 'https://d.example/')).toMatchObject({ kind: 'busy' })
  if (first.ok) for (let i = 0; i < 2; i++) first.leave()
  expect(enter(3, 'https://a.example/').ok).toBe(true)
  expect(enter(5, 'https://d.example/')).toMatchObject({ kind: 'busy' })
})

const ofTenant = (tenant: string): Caller => ({ ...caller(1), tenant })

/** How many places each of these tenants gets that asks for all that it can get, at a host of its own. */
function takeAll(places: ReturnType<typeof createTestPlaces>, tenants: readonly string[]) {
  const leaves: (() => void)[] = []
  const counts = tenants.map(tenant => {
    for (let got = 0; ; got++) {
      const entered = places.enter(ofTenant(tenant), `https://${tenant}.example/${got % 2}`)
      if (!entered.ok) return got
      leaves.push(entered.leave)
    }
  })
  return { counts, leaves }
}
const tenants = (count: number) => Array.from({ length: count }, (_, i) => `tenant-${i}`)

test('tenants that take all they can get leave a place to each other one, and the total has a bound', () => {
  const places = createTestPlaces()
  const { counts, leaves } = takeAll(places, tenants(39))
  expect(counts).toEqual([5, 5, 5, 5, 5, ...Array(34).fill(1)])
  expect(places.enter(ofTenant('one more'), 'https://x.example/').ok).toBe(true)
  expect(places.enter(ofTenant('too many'), 'https://x.example/')).toMatchObject({ kind: 'busy' })
  expect(places.enter(ofTenant('tenant-9'), 'https://x.example/')).toMatchObject({
    detail: 'A test of yours is running. There is no capacity for another now. Try again in 5 s.',
  })
  // Nor do they take any place of callers without a tenant.
  expect(places.enter(caller(1), 'https://x.example/').ok).toBe(true)
  expect(leaves).toHaveLength(59)
})

test('in whatever order tests of tenants end, all places are free again', () => {
  const places = createTestPlaces()
  for (const inOrder of [(all: (() => void)[]) => all, (all: (() => void)[]) => all.toReversed()]) {
    const { counts, leaves } = takeAll(places, tenants(40))
    expect(counts.slice(0, 6)).toEqual([5, 5, 5, 5, 5, 1])
    for (const leave of inOrder(leaves)) {
      leave()
      leave()
    }
  }
  const first = takeAll(places, ['tenant-0'])
  first.leaves[0]!()
  expect(takeAll(places, ['tenant-0']).counts).toEqual([1])
  expect(takeAll(places, tenants(40)).counts.filter(count => count > 0)).toHaveLength(39)
})
