import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook } from '../support/walhook-process.ts'
import { table } from './figures.ts'
import type { Flood, Flooded } from './flood.ts'
import { program } from './published.ts'
import { type Line, strangersLines, type Values, viewersLines } from './strangers-lines.ts'

/**
 * `npm run bench:strangers [requests [words …]]`: what deliveries, memory and other callers are while strangers, and a viewer, ask
 * for all they can: walhook with a heap of 384 MB delivers 20 changes a second, and each path that there is is asked for so
 * often (100,000 unless said otherwise) by 64 connections at once. Meanwhile somebody else asks ten times a second whether walhook
 * is alive, and lists webhooks. Words behind the number choose lines that contain one of them. It takes 28
 * minutes at most: lines that there is no time for are named. Ends with 1 where a line does not hold, or was not run.
 */
const [wanted = '100000', ...words] = process.argv.slice(2)
const requests = Number(wanted)
const changesPerSecond = 20
/** Of a delivery while a line runs, and of the process. */
const limits = { p99Ms: 1_000, memoryMb: 250 }
const maxMs = 27 * 60_000
const startMs = Date.now()
/** Another address than that of who watches. Other systems than Linux have to be told of it first. */
const localAddress = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1'
const say = (line: string) => process.stdout.write(`${line}\n`)

await using server = await openOwnServer({ max_connections: '200' })
const database = await server.database()
await using psql = await connect(database.url)
await psql.query(`
  create table users (id integer primary key, at double precision, data text);
  create table companies (id integer primary key)`)
const latencies: Timed[] = []
let larges = 0
await using receiver = await startTestReceiver(arrival => {
  const { at } = JSON.parse(arrival.body).result
  const atMs = Date.now()
  if (at === null) larges++
  else latencies.push({ atMs, ms: atMs - at })
  return 204
})
await using walhook = startWalhook(database, { NODE_OPTIONS: '--max-old-space-size=384' }, program)
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

/** What somebody else meets, who asks ten times a second; `ms` is null where it failed. */
type Timed = { readonly atMs: number; readonly ms: number | null }
const seen: Record<string, Timed[]> = { '/livez': [], '/api/webhooks': [] }
const watching = Object.entries(seen).map(async ([path, times]) => {
  while (!isOver) {
    const atMs = Date.now()
    const headers = { authorization: `Bearer ${adminToken}` }
    const signal = AbortSignal.timeout(10_000)
    const isOk = await fetch(url + path, { headers, signal }).then(
      async response => (await response.text()) !== '' && response.ok,
      () => false,
    )
    times.push({ atMs, ms: isOk ? Date.now() - atMs : null })
    await sleep(100)
  }
})

const logIn = await fetch(`${url}/login`, {
  method: 'POST',
  redirect: 'manual',
  headers: { 'sec-fetch-site': 'same-origin' },
  body: new URLSearchParams({ token: String(token) }),
})
const cookie = logIn.headers.get('set-cookie')!.split(';')[0]!
const firstOf = async (path: string) =>
  (
    await until(async () => ((await walhook.api('GET', path)) as { data: { id: string }[] }).data[0], {
      what: `something at ${path}`,
      timeoutMs: 120_000,
    })
  ).id
const event = await firstOf('/api/events?entity_type=user&entity_id=1')
const attempt = await firstOf(`/api/webhooks/${id}/log`)
const values: Values = {
  id,
  event,
  event_id: event,
  attempt,
  attempt_id: attempt,
  replay_id: 1,
  replay: 1,
  backfill: 1,
  trigger: 'user.new',
}
// They are there for those who read; what it costs to capture them is another question.
await until(() => larges >= 20, { what: 'the large events to be delivered', timeoutMs: 300_000 })
await until(() => (latencies.at(-1)?.ms ?? limits.p99Ms) < limits.p99Ms / 2, {
  what: 'deliveries to be as fast as ever',
  timeoutMs: 120_000,
})
const all: Line[] = [...strangersLines(values), ...viewersLines(values, String(token), cookie)]

const memoryMb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${walhook.pid}/status`, 'utf8'))![1]) / 1_024
const lines: string[][] = []
const broken: string[] = []
const notRun: string[] = []

function figures(
  times: readonly Timed[],
  fromMs: number,
): { count: number; failed: number; p99Ms: number | null; said: string } {
  const during = times.filter(({ atMs }) => atMs >= fromMs)
  const sorted = during.flatMap(({ ms }) => ms ?? []).sort((a, b) => a - b)
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null
  const failed = during.length - sorted.length
  const said = `${quantile(0.5) ?? '–'} / ${quantile(0.99) ?? '–'} ms${failed > 0 ? `, ${failed} of ${during.length} failed` : ''}`
  return { count: during.length, failed, p99Ms: quantile(0.99), said }
}

async function tryLine(name: string, flood: Partial<Flood> | null): Promise<void> {
  const fromMs = Date.now()
  let max = memoryMb()
  const watch = setInterval(() => {
    max = Math.max(max, memoryMb())
  }, 100)
  let flooded: Flooded = { statuses: {}, seconds: 10 }
  if (flood === null) await sleep(10_000)
  else {
    const whole: Flood = { url, ask: [], count: requests, connections: 64, localAddress, ...flood }
    const program = join(import.meta.dirname, 'flood.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(whole)], {
      maxBuffer: 1e7,
    })
    flooded = JSON.parse(stdout)
  }
  clearInterval(watch)
  const delivered = figures(latencies, fromMs)
  const statuses = Object.entries(flooded.statuses).map(([status, count]) => `${status}: ${count}`)
  const holds =
    !walhook.hasEnded() && max < limits.memoryMb && delivered.p99Ms !== null && delivered.p99Ms < limits.p99Ms
  if (!holds) broken.push(name)
  const line = [
    name,
    holds ? 'holds' : 'DOES NOT HOLD',
    statuses.join(', '),
    `${flooded.seconds.toFixed(1)} s`,
    String(delivered.count),
    delivered.said,
    `${max.toFixed(0)} MB`,
    ...Object.values(seen).map(times => figures(times, fromMs).said),
  ]
  say(line.join('  |  '))
  lines.push(line)
}

for (const [name, flood] of [['nothing', null] as const, ...all])
  if (flood === null || words.length === 0 || words.some(word => name.includes(word)))
    if (Date.now() - startMs < maxMs) await tryLine(name, flood)
    else notRun.push(name)
isOver = true
await Promise.all([writing, ...watching])
say('')
say(table(['', 'verdict', 'answers', 'in', 'deliveries', 'p50 / p99', 'memory', ...Object.keys(seen)], lines))
walhook.kill('SIGTERM')
const ended = await walhook.exited
say(`\nwalhook ended with ${JSON.stringify(ended)}`)
say(
  `${lines.length - broken.length} of ${lines.length} lines hold: p99 of a delivery below ${limits.p99Ms} ms, memory below ${limits.memoryMb} MB, in ${Math.round((Date.now() - startMs) / 60_000)} minutes`,
)
if (broken.length > 0) say(`do not hold: ${broken.join('; ')}`)
if (notRun.length > 0) say(`not run, for want of time: ${notRun.join('; ')}`)
if (broken.length + notRun.length > 0 || ended.code !== 0) process.exitCode = 1
