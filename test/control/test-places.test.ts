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
  const places = createTestPlaces({ total: 5, perHost: 3, perCaller: 2 })
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
