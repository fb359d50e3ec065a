import { expect, test } from 'vitest'
import { createAuthenticator } from '../../src/control/tokens.ts'
import type { Outbox } from '../../src/outbox/database.ts'

const token = 'an-admin-token-for-tests'
// Whoever asks the database throws here.
const noDatabase = {} as Outbox

test('the token of the configuration needs no database, and is the account that the configuration names', async () => {
  for (const userId of ['7', null]) {
    const authenticate = createAuthenticator(noDatabase, { token, userId })
    expect(await authenticate(token)).toEqual({ name: 'WALHOOK_ADMIN_TOKEN', userId, role: 'admin' })
  }
})

test.each(['', ' ', `${token} `, token.slice(0, -1), token.toUpperCase(), 'another'])(
  '%j is nobody, and the database is not asked',
  async other => {
    expect(await createAuthenticator(noDatabase, { token, userId: '7' })(other)).toBeNull()
    expect(await createAuthenticator(noDatabase, { token: null, userId: null })(other)).toBeNull()
  },
)
