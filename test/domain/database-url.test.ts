import fc from 'fast-check'
import pg from 'pg'
import { expect, test } from 'vitest'
import { chooseServer, whyUnsuitable } from '../../src/domain/database/choose-server.ts'
import { parseDatabaseUrl } from '../../src/domain/database/database-url.ts'

function read(text: string) {
  const parsed = parseDatabaseUrl(text)
  if ('wrong' in parsed) throw new Error(parsed.wrong.join())
  const { servers, wants } = parsed.value
  return { wants, servers: servers === 'only' ? servers : servers.map(({ name }) => name) }
}

test.each<[string, readonly string[] | 'only', string]>([
  ['postgres://walhook:hunter2@db:5432/app', 'only', 'any'],
  ['postgres://walhook:hunter2@db/app?target_session_attrs=primary', 'only', 'primary'],
  ['postgres:///app?host=/tmp', 'only', 'any'],
  ['postgres://a:5432,b:5433/app', ['a:5432', 'b:5433'], 'read-write'],
  ['postgres://u:p@a,b/app?target_session_attrs=read-write', ['a:5432', 'b:5432'], 'read-write'],
  ['postgresql://u:p%40ss,word@a,b:1/app?target_session_attrs=primary', ['a:5432', 'b:1'], 'primary'],
  ['postgres://u:p@[::1],[fd00::2]:5433,c/app', ['[::1]:5432', '[fd00::2]:5433', 'c:5432'], 'read-write'],
  ['postgres://u@/app?host=a,b&port=1,2', ['a:1', 'b:2'], 'read-write'],
  ['postgres:///app?host=a,b&port=1', ['a:1', 'b:1'], 'read-write'],
  ['postgres:///app?host=::1,/tmp&port=1,', ['[::1]:1', '/tmp:5432'], 'read-write'],
  ['postgres://one:9/app?host=a,b', ['a:5432', 'b:5432'], 'read-write'],
  ['postgres://%2Ftmp,a:1/app', ['/tmp:5432', 'a:1'], 'read-write'],
])('%s', (text, servers, wants) => {
  expect(read(text)).toEqual({ servers, wants })
})

test.each([
  ['hunter2', 'not a Postgres URL'],
  ['mysql://hunter2@db/app', 'not a Postgres URL'],
  ['postgres://u:hunter2@db:99999/app', 'not a Postgres URL'],
  ['postgres://u:hunter2@a,,b/app', 'host 2 of 3 is empty'],
  [
    'postgres://u:hunter2,b/app',
    'host 1 of 2 is not a host, or has no port from 1 to 65535 behind its colon',
  ],
  ['postgres://u:hunter2@a:0,b/app', 'host 1 of 2 has no port from 1 to 65535'],
  [
    'postgres://u:hunter2@::1,b/app',
    'host 1 of 2 is not a host, or has no port from 1 to 65535 behind its colon',
  ],
  [
    'postgres://u:hunter2@[::1]x,b/app',
    'host 1 of 2 is not a host, or has no port from 1 to 65535 behind its colon',
  ],
  [
    'postgres://u:hunter2@a,%zz/app',
    'host 2 of 2 is not a host, or has no port from 1 to 65535 behind its colon',
  ],
  ['postgres://u:hunter2@/app?host=a,b,c&port=1,2', '3 hosts and 2 ports'],
  ['postgres://u:hunter2@a/app?port=1,2', '1 hosts and 2 ports'],
  [
    'postgres://u:hunter2@a,b/app?target_session_attrs=any',
    'target_session_attrs=any with several hosts, which leads to a standby where one answers first',
  ],
  [
    'postgres://u:hunter2@a/app?target_session_attrs=standby',
    'target_session_attrs=standby, which chooses a standby, which is read-only',
  ],
  [
    'postgres://u:hunter2@a/app?target_session_attrs=read-only',
    'target_session_attrs=read-only, which chooses a read-only server',
  ],
  [
    'postgres://u:hunter2@a,b/app?target_session_attrs=prefer-standby',
    'target_session_attrs=prefer-standby, which prefers a standby, which is read-only',
  ],
  [
    'postgres://u:hunter2@a,b/app?target_session_attrs=readwrite',
    'an unknown target_session_attrs (did you mean read-write?)',
  ],
  ['postgres://u:p@a,b/app?target_session_attrs=hunter2', 'an unknown target_session_attrs'],
])('%s is refused, and the message does not repeat it', (text, wrong) => {
  expect(parseDatabaseUrl(text)).toEqual({ wrong: [wrong] })
  expect(wrong).not.toContain('hunter2')
})

type Known = pg.Client & { connectionParameters: { options: string } }

const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/)
const host = fc.oneof(
  label,
  fc.tuple(label, label).map(parts => parts.join('.')),
  fc.ipV4(),
  fc.ipV6(),
  label.map(name => `/var/run/${name}`),
)
const port = fc.integer({ min: 1, max: 65_535 })
const secret = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
const servers = fc.array(fc.record({ host, port }), { minLength: 2, maxLength: 4 })

test("node-postgres connects to each server with the URL's user and database", () => {
  fc.assert(
    fc.property(servers, secret, secret, label, fc.boolean(), (all, user, password, database, inQuery) => {
      const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
      const position = ({ host, port }: (typeof all)[number]) =>
        `${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}`
      const url = inQuery
        ? `postgres://${login}/${database}?host=${all.map(({ host }) => encodeURIComponent(host)).join()}&port=${all.map(({ port }) => port).join()}&options=-c%20geqo%3Doff`
        : `postgres://${login}${all.map(position).join()}/${database}?options=-c%20geqo%3Doff`
      const parsed = parseDatabaseUrl(url)
      if ('wrong' in parsed || parsed.value.servers === 'only') throw new Error(JSON.stringify(parsed))
      const clients = parsed.value.servers.map(({ url }) => new pg.Client({ connectionString: url }) as Known)
      const seen = clients.map(({ host, port, user, password, database, connectionParameters }) => ({
        ...{ host, port, user, password, database },
        options: connectionParameters.options,
      }))
      const rest = { user, password, database, options: '-c geqo=off' }
      expect(seen).toEqual(all.map(({ host, port }) => ({ host, port, ...rest })))
      expect(parsed.value.servers.map(({ host, port }) => ({ host, port }))).toEqual(all)
    }),
  )
})

test('no error about a URL repeats its password', () => {
  const piece = fc.oneof(
    ...['postgres://', '@', ':', ',', '/', '?', '[', ']', 'host=', '&port=', '%'].map(text =>
      fc.constant(text),
    ),
    ...['target_session_attrs=', 'a', '1', 'hunter2'].map(text => fc.constant(text)),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const parsed = parseDatabaseUrl(`postgres://u:hunter2@${pieces.join('')}`)
      if ('wrong' in parsed) expect(parsed.wrong.join()).not.toContain('hunter2')
    }),
  )
})

const primary = { isStandby: false, isReadOnly: false, timeline: 1 }
const standby = { isStandby: true, isReadOnly: true, timeline: null }
const closed = { isStandby: false, isReadOnly: true, timeline: 1 }

test.each([
  ['any', standby, null],
  ['read-write', primary, null],
  ['read-write', standby, 'a standby'],
  ['read-write', closed, 'read-only (default_transaction_read_only is on)'],
  ['primary', standby, 'a standby'],
  ['primary', closed, null],
] as const)('a session with target_session_attrs=%s on %j', (wants, facts, reason) => {
  expect(whyUnsuitable(wants, facts)).toBe(reason)
})

test('the primary with the newer timeline wins; of equals, the first', () => {
  const [first, second, third] = [{ timeline: 1 }, { timeline: 2 }, { timeline: 2 }]
  expect(chooseServer([first, second, third])).toBe(second)
  expect(chooseServer([first])).toBe(first)
  expect(chooseServer([])).toBe(null)
})
