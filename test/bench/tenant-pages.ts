import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventStates } from '../../src/domain/event/event-state.ts'
import { connect } from '../support/connect.ts'
import { apiPaths, filled, pagePaths } from './all-paths.ts'
import { adminToken, startWalhook } from './contenders/walhook.ts'
import { msText, quantile, table } from './figures.ts'
import { openStage } from './stage.ts'
import { fillTenants } from './tenant-data.ts'

/**
 * Every page and every GET of the API as an admin of a tenant with 200 webhooks and a million attempts opens it, among 1,000 other tenants:
 * `node test/bench/tenant-pages.ts`. The median and the longest of ten. BENCH_ATTEMPTS: 1,000,000; BENCH_ANALYZE=before: Postgres has
 * looked at the tables while they were empty, and never again. TEST_EMBEDDED_POSTGRES=debian: on Debian's 15. BENCH_PATHS: only those that
 * contain it.
 */
const amount = { webhooks: 200, attempts: Number(process.env.BENCH_ATTEMPTS ?? 1_000_000), others: 1_000 }
const analyze = process.env.BENCH_ANALYZE === 'before' ? 'before' : 'after'
const calls = 10
const maxMs = 200

const folder = await mkdtemp(join(tmpdir(), 'walhook-bench-'))
const config = join(folder, 'walhook.yaml')
await writeFile(
  config,
  'entities:\n  user:\n    table: users\n    tenant: organisation_id\n    label: name_first name_last\n',
)
await using stage = await openStage(analyze === 'before' ? { autovacuum: 'off' } : {})
process.stdout.write(`${stage.description}\n\n`)
const place = await stage.place({
  async prepare({ url }) {
    await using own = await connect(url)
    await own.query('alter table users add organisation_id integer')
  },
})
{
  await using _ = await startWalhook(place, [], { WALHOOK_CONFIG: config })
}
const fillMs = performance.now()
await fillTenants(place.url, amount, analyze)
const filledS = Math.round((performance.now() - fillMs) / 1_000)
process.stdout.write(`filled in ${filledS} s, analyzed ${analyze}\n\n`)
await using walhook = await startWalhook(place, [], { WALHOOK_CONFIG: config, WALHOOK_ROLES: 'api' })
const { url } = walhook

const made = await fetch(`${url}/api/tokens`, {
  method: 'POST',
  headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'CRM', role: 'admin', tenant: '1' }),
})
const { token } = (await made.json()) as { token: string }
const logIn = await fetch(`${url}/login`, {
  method: 'POST',
  redirect: 'manual',
  headers: { 'sec-fetch-site': 'same-origin' },
  body: new URLSearchParams({ token }),
})
const cookie = logIn.headers.get('set-cookie')!.split(';')[0]!
const headers = { cookie, authorization: `Bearer ${token}` }

await using psql = await connect(place.url)
const { rows: found } = await psql.query(
  `select id::text, event_id::text from walhook.attempts where webhook_id = 1 order by id desc limit 1`,
)
const [{ id: attempt, event_id: event }] = found
const values = {
  ...{ id: 1, attempt, attempt_id: attempt, event, event_id: event, trigger: 'user.new' },
  ...{ replay_id: 1, replay: 1, backfill: 1 },
}
const gets = [...apiPaths, ...pagePaths]
  .filter(({ method }) => method === 'GET')
  .map(({ path }) => filled(path, values))
const states = eventStates.map(state => `state=${state}`)
const more = [
  ...[...states, 'action=delete', 'entity_type=user&entity_id=e7', 'entity_type=company'].flatMap(query => [
    `/api/events?${query}`,
    `/events?${query}`,
  ]),
  ...['outcome=refused', 'outcome=unreachable', 'entity_type=user&entity_id=e7', 'trigger=test'].flatMap(
    query => [`/api/webhooks/1/log?${query}`, `/couplings/1/log?${query}`],
  ),
  ...['state=failing', 'state=inactive', 'sort=name', 'search=webhook', 'page=4'].map(
    query => `/couplings?${query}`,
  ),
  ...['/api/webhooks?limit=100', '/api/audit?limit=100', '/audit?webhook=1', '/api/events?limit=100'],
]
const chosen = [...new Set([...gets, ...more])].filter(path => path.includes(process.env.BENCH_PATHS ?? ''))

const lines: { path: string; p50: number; longest: number; status: number }[] = []
for (const path of chosen) {
  const times: number[] = []
  let status = 0
  for (let i = 0; i < calls; i++) {
    const startMs = performance.now()
    status = await ask(path)
    times.push(performance.now() - startMs)
  }
  lines.push({ path, p50: quantile(times, 0.5), longest: Math.max(...times), status })
}
await rm(folder, { recursive: true })
lines.sort((a, b) => b.p50 - a.p50)
const cells = lines.map(({ path, p50, longest, status }) => [
  path,
  msText(p50),
  msText(longest),
  String(status),
])
process.stdout.write(`${table(['', 'p50', 'longest', 'status'], cells)}\n\n`)
const slow = lines.filter(({ p50 }) => p50 >= maxMs)
process.stdout.write(`${slow.length} of ${lines.length} take ${maxMs} ms or more\n`)

/** A page that goes on for as long as somebody looks at it has answered with its first part. */
async function ask(path: string): Promise<number> {
  const answer = await fetch(url + path, { headers, redirect: 'manual' })
  if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    const reader = answer.body!.getReader()
    await reader.read()
    await reader.cancel()
  } else await answer.text()
  return answer.status
}
