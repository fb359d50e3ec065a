import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { startWalhook } from '../support/walhook-process.ts'
import { table } from './figures.ts'
import type { Flood, Flooded } from './flood.ts'

/**
 * `npm run bench:strangers [requests [words …]]`: what deliveries and memory are while strangers, and a viewer, ask for all they can:
 * walhook with a heap of 384 MB delivers 20 changes a second, and each path is asked for so often (100,000 unless said
 * otherwise) by 64 connections at once. Words behind the number choose lines that contain one of them.
 */
const [wanted = '100000', ...words] = process.argv.slice(2)
const requests = Number(wanted)
const changesPerSecond = 20
const say = (line: string) => process.stdout.write(`${line}\n`)

await using server = await openOwnServer({ max_connections: '200' })
const database = await server.database()
await using psql = await connect(database.url)
await psql.query(`
  create table users (id integer primary key, at double precision, data text);
  create table companies (id integer primary key)`)
const latencies: { atMs: number; ms: number }[] = []
await using receiver = await startTestReceiver(arrival => {
  const { at } = JSON.parse(arrival.body).result
  const nowMs = Date.now()
  if (at !== null) latencies.push({ atMs: nowMs, ms: nowMs - at })
  return 204
})
await using walhook = startWalhook(database, { NODE_OPTIONS: '--max-old-space-size=384' })
await walhook.ready()
const url = await walhook.url()
const webhook = { name: 'CRM', url: receiver.url, triggers: ['user.new', 'user.update'] }
const { id } = (await walhook.api('POST', '/api/webhooks', webhook)) as { id: number }
const { token } = await walhook.api('POST', '/api/tokens', { name: 'viewer', role: 'viewer' })
// What a viewer's lists would read: events of 0.9 MB.
await psql.query(`insert into users select i, null, repeat('"', 450000) from generate_series(1, 20) i`)

let isOver = false
const writing = (async () => {
  for (let n = 0; !isOver; n++) {
    await psql.query('insert into users values ($1, $2, null)', [1_000 + n, Date.now()])
    await sleep(1_000 / changesPerSecond)
  }
})()

const logIn = await fetch(`${url}/login`, {
  method: 'POST',
  redirect: 'manual',
  headers: { 'sec-fetch-site': 'same-origin' },
  body: new URLSearchParams({ token: String(token) }),
})
const cookie = logIn.headers.get('set-cookie')!.split(';')[0]!
await sleep(5_000)
const [event] = (
  (await walhook.api('GET', '/api/events?entity_type=user&entity_id=1')) as { data: { id: string }[] }
).data
const [attempt] = ((await walhook.api('GET', `/api/webhooks/${id}/log`)) as { data: { id: string }[] }).data

const viewerPaths = [
  `/api/webhooks/${id}/log?limit=100`,
  `/api/webhooks/${id}/log`,
  `/api/webhooks/${id}/log/${attempt!.id}`,
  '/api/webhooks',
  `/api/webhooks/${id}`,
  '/api/events?limit=100',
  `/api/events/${event!.id}`,
  '/api/backfills',
  '/api/audit?limit=100',
  '/api/status',
]
const viewerPages = [
  '/couplings',
  `/couplings/${id}/log`,
  `/couplings/${id}/log/${attempt!.id}`,
  '/events',
  `/events/${event!.id}`,
  '/health',
  '/couplings/live',
]
const open: [string, Partial<Flood>][] = [
  ['/', { paths: ['/'] }],
  ['/login', { paths: ['/login'] }],
  [
    '/login, wrong tokens',
    {
      method: 'POST',
      paths: ['/login'],
      headers: { 'sec-fetch-site': 'same-origin' },
      body: 'token=whk_$RANDOM',
    },
  ],
  [
    '/language',
    {
      method: 'POST',
      paths: ['/language'],
      headers: { 'sec-fetch-site': 'same-origin' },
      body: 'language=nl',
    },
  ],
  [
    '/couplings, invented cookies',
    { paths: ['/couplings'], headers: { cookie: 'walhook_session=whs_$RANDOM' } },
  ],
  ['/login, invented cookies', { paths: ['/login'], headers: { cookie: 'walhook_session=whs_$RANDOM' } }],
  [
    '/api/webhooks, invented tokens',
    { paths: ['/api/webhooks'], headers: { authorization: 'Bearer whk_$RANDOM' } },
  ],
  ['/api/webhooks, no token', { paths: ['/api/webhooks'] }],
  ['/assets/htmx.js', { paths: ['/assets/htmx.js'] }],
  ['/api/openapi.json', { paths: ['/api/openapi.json'] }],
  ['/api/docs', { paths: ['/api/docs'] }],
  ['/livez', { paths: ['/livez'] }],
  ['/readyz', { paths: ['/readyz'] }],
  ['/readyz, invented tokens', { paths: ['/readyz'], headers: { authorization: 'Bearer whk_$RANDOM' } }],
  ['/metrics', { paths: ['/metrics'] }],
  ['/nowhere', { paths: ['/nowhere'] }],
  [
    'pipelined, invented cookies',
    { kind: 'pipelined', paths: ['/'], headers: { cookie: 'walhook_session=whs_$RANDOM' } },
  ],
  ['2,500 half-sent bodies to /login', { kind: 'half', paths: ['/login'], count: 2_500 }],
]
const perMinute = 3_000
const viewer = (path: string[], headers: Record<string, string>): Partial<Flood> => ({
  paths: path,
  headers,
  count: Math.min(requests, perMinute),
  connections: 32,
  perSecond: perMinute / 60,
})
const asViewer: [string, Partial<Flood>][] = [
  ['a viewer, the API', viewer(viewerPaths, { authorization: `Bearer ${token}` })],
  ['a viewer, the pages', viewer(viewerPages, { cookie })],
  ['a viewer, the log of 100', viewer(viewerPaths.slice(0, 1), { authorization: `Bearer ${token}` })],
  ['a viewer, an attempt', viewer(viewerPages.slice(2, 3), { cookie })],
]

const memoryMb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${walhook.pid}/status`, 'utf8'))![1]) / 1_024
const lines: string[][] = []
const quantile = (sorted: number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
for (const [name, flood] of [['nothing', null] as const, ...open, ...asViewer]) {
  if (flood !== null && words.length > 0 && !words.some(word => name.includes(word))) continue
  const fromMs = Date.now()
  let most = memoryMb()
  const watch = setInterval(() => {
    most = Math.max(most, memoryMb())
  }, 100)
  let flooded: Flooded = { statuses: {}, seconds: 10 }
  if (flood === null) await sleep(10_000)
  else {
    const whole: Flood = { url, paths: [], count: requests, connections: 64, ...flood }
    const program = join(import.meta.dirname, 'flood.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(whole)], {
      maxBuffer: 1e7,
    })
    flooded = JSON.parse(stdout)
  }
  clearInterval(watch)
  const during = latencies
    .filter(({ atMs }) => atMs >= fromMs)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b)
  const statuses = Object.entries(flooded.statuses)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')
  const line = [
    name,
    statuses,
    `${flooded.seconds.toFixed(1)} s`,
    String(during.length),
    `${quantile(during, 0.5)} ms`,
    `${quantile(during, 0.99)} ms`,
    `${most.toFixed(0)} MB`,
  ]
  say(line.join('  |  '))
  lines.push(line)
}
isOver = true
await writing
say('')
say(table(['', 'answers', 'in', 'deliveries', 'p50', 'p99', 'memory'], lines))
walhook.kill('SIGTERM')
say(`\nwalhook ended with ${JSON.stringify(await walhook.exited)}`)
