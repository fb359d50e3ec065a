import { expect, test } from 'vitest'
import { createAuthenticator } from '../../src/control/access/authenticate.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'

const token = 'an-admin-token-for-tests'
// Whoever asks the database throws here.
const noDatabase = {} as Outbox

function open(admin: { token: string | null; userId: string | null } = { token, userId: '7' }) {
  const clock = { ms: 1_000_000 }
  const held: [string, number][] = []
  const authenticate = createAuthenticator({
    outbox: noDatabase,
    admin,
    nowMs: () => clock.ms,
    onHeld: (address, failures) => held.push([address, failures]),
  })
  return {
    clock,
    held,
    authenticate,
    try: (text: string, address = '192.0.2.1') => authenticate(text, address),
  }
}

test('the configured token needs no database, and has the configured account', async () => {
  for (const userId of ['7', null])
    expect(await open({ token, userId }).try(token)).toEqual({
      ok: true,
      caller: {
        kind: 'configuration',
        name: 'WALHOOK_ADMIN_TOKEN',
        tokenId: null,
        userId,
        role: 'admin',
        tenant: null,
      },
    })
})

test.each(['', ' ', `${token} `, token.slice(0, -1), token.toUpperCase(), 'another'])(
  '%j is refused without a query',
  async other => {
    expect(await open().try(other)).toEqual({ ok: false, isHeld: false, waitMs: 0 })
    expect((await open({ token: null, userId: null }).try(other)).ok).toBe(false)
  },
)

test('an address that keeps failing waits twice as long each time; a valid token still works', async () => {
  const at = open()
  for (let i = 0; i < 4; i++) expect(await at.try('wrong')).toEqual({ ok: false, isHeld: false, waitMs: 0 })
  for (const waitMs of [1_000, 2_000, 4_000]) {
    expect(await at.try('wrong')).toEqual({ ok: false, isHeld: false, waitMs })
    expect(await at.try('wrong')).toEqual({ ok: false, isHeld: true, waitMs })
    // Behind a proxy all have one address: who guesses must not lock out who works, nor the first log-in of a day.
    expect((await at.try(token)).ok).toBe(true)
    at.clock.ms += waitMs - 1
    expect(await at.try('wrong')).toEqual({ ok: false, isHeld: true, waitMs: 1 })
    at.clock.ms += 1
  }
  expect(at.held).toEqual([5, 6, 7].map(count => ['192.0.2.1', count]))
})

test('other addresses are not limited; those of one IPv6 network count as one', async () => {
  const at = open()
  for (let i = 0; i < 6; i++) await at.try('wrong', `2001:db8:1:2::${i}`)
  expect(await at.try('wrong', '2001:db8:1:2:ffff::1')).toMatchObject({ isHeld: true })
  expect(await at.try('wrong', '2001:db8:1:3::1')).toMatchObject({ isHeld: false })
  expect(await at.try('wrong', '192.0.2.2')).toMatchObject({ isHeld: false })
})

test('the number of remembered addresses is bounded: the oldest failure is dropped', async () => {
  const at = open()
  for (let i = 0; i < 6; i++) await at.try('wrong', '192.0.2.1')
  for (let i = 0; i < 10_000; i++) await at.try('wrong', `10.0.${i >> 8}.${i & 255}`)
  expect(await at.try('wrong', '192.0.2.1')).toEqual({ ok: false, isHeld: false, waitMs: 0 })
})
