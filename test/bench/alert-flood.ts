import { createServer } from 'node:http'
import { type AddressInfo, connect as dial, createServer as listenTcp, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { until } from '../support/wait.ts'
import { adminToken, benchSecret, createWebhook, startWalhook } from './contenders/walhook.ts'
import { memoryMb, msText, quantile } from './figures.ts'
import { openStage, startMeter } from './stage.ts'
import { insertUsers } from './users.ts'

/**
 * BENCH_WEBHOOKS (10,000) webhooks of one receiver that is dead, half of which mail one address, beside a healthy webhook at 50 events
 * a second and one that hears alerts: `node test/bench/alert-flood.ts`. Then the source is away, and the outbox is locked. How late the
 * healthy one is in each phase; commits, CPU seconds, events and mails; how long pages and the API take.
 */
const webhooks = Number(process.env.BENCH_WEBHOOKS ?? 10_000)
const perSecond = 50
const timeoutMs = 900_000
const looks = ['/couplings', '/health', '/events', '/api/webhooks', '/api/alerts', '/metrics']

let isDead = true
const arrivals = new Map<number, number>()
let deadRequests = 0
let alerts = 0
async function listen(answer: (body: string) => number) {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    response.writeHead(answer(body)).end()
  })
  // It ends with the process.
  server.on('connection', socket => socket.unref())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
const dead = await listen(() => {
  deadRequests++
  return isDead ? 503 : 204
})
const healthy = await listen(body => {
  arrivals.set(JSON.parse(body).entity_id, performance.now())
  return 204
})
const watcher = await listen(() => {
  alerts++
  return 204
})

/** The way to the source, which may be closed for a while. */
async function openWay(to: URL) {
  const sockets = new Set<Socket>()
  const server = listenTcp(near => {
    const far = dial(Number(to.port), to.hostname)
    for (const [from, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from.on('error', () => other.destroy()).on('close', () => other.destroy()))
      from.pipe(other)
    }
  })
  const open = (port: number) => new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  await open(0)
  const { port } = server.address() as AddressInfo
  const url = new URL(to)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    async closeFor(ms: number) {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      sockets.clear()
      await closed
      await sleep(ms)
      await open(port)
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

await using stage = await openStage()
await using smtp = await startSmtpServer()
process.stdout.write(`${stage.description}\n${webhooks} webhooks\n`)
const place = await stage.place({ async prepare() {} })
await using way = await openWay(new URL(place.url))
await using walhook = await startWalhook(place, [], {
  DATABASE_URL: way.url,
  OUTBOX_DATABASE_URL: place.url,
  WALHOOK_ALERT_TO: 'oncall@example.com',
  WALHOOK_SMTP_URL: smtp.url,
  WALHOOK_MAIL_FROM: 'walhook@example.com',
  WALHOOK_RETRY_SCHEDULE: Array.from({ length: 50 }, () => '20s').join(','),
})
await createWebhook(walhook.url, { name: 'healthy', url: healthy, triggers: ['company.new'] })
await createWebhook(walhook.url, {
  name: 'watcher',
  url: watcher,
  triggers: ['webhook.failing', 'webhook.recovered', 'capture.blocked', 'capture.lagging', 'capture.lost'],
})
await using psql = await connect(place.url)
await psql.query(
  `insert into walhook.webhooks (name, url, triggers, secret, alert_to)
   select 'dead ' || n, $2, '{user.new}', $3, case when n % 2 = 0 then '{ops@example.com}'::text[] else '{}' end
   from generate_series(1, $1::int) n`,
  [webhooks, dead, benchSecret()],
)
await psql.query('vacuum (analyze)')

const written = new Map<number, number>()
let isWriting = true
const writing = (async () => {
  await using own = await connect(place.url)
  for (let id = 1; isWriting; id++) {
    written.set(id, performance.now())
    await own.query('insert into companies values ($1)', [id])
    await sleep(1_000 / perSecond)
  }
})()

const lateness = (fromMs: number) =>
  [...written].flatMap(([id, at]) => (at >= fromMs && arrivals.has(id) ? [arrivals.get(id)! - at] : []))
/** What a phase has cost, and what came of it. */
async function counts() {
  const { rows } = await psql.query(
    `select (select xact_commit::int from pg_stat_database where datname = current_database()) as commits,
            (select count(*)::int from walhook.events where entity_type like 'walhook:%') as alert_events`,
  )
  return { ...rows[0], written: written.size }
}
let countsBefore = { commits: 0, alert_events: 0, written: 0 }
let meter = () => ({ workerS: 0, postgresS: 0 })
async function begin(): Promise<number> {
  countsBefore = await counts()
  meter = startMeter(stage, walhook.pid)
  return performance.now()
}
async function report(phase: string, fromMs: number) {
  const { workerS, postgresS } = meter()
  const now = await counts()
  // The application writes one row in each of its commits.
  const commits = now.commits - countsBefore.commits - (now.written - countsBefore.written)
  const mailed = Object.entries(Object.groupBy(smtp.mails, ({ to }) => to[0]!))
  process.stdout.write(
    `${phase}: CPU walhook ${workerS.toFixed(1)} s, Postgres ${postgresS.toFixed(1)} s; ${commits} commits beside the application's; ${now.alert_events - countsBefore.alert_events} events of alerts; mails ${mailed.map(([to, all]) => `${to} ${all!.length}`).join(', ') || 'none'}\n`,
  )
  const late = lateness(fromMs)
  const missing = [...written].filter(
    ([id, at]) => at < performance.now() - 5_000 && !arrivals.has(id),
  ).length
  const took: string[] = []
  for (const path of looks) {
    const ms: number[] = []
    for (let i = 0; i < 5; i++) {
      const startMs = performance.now()
      const answer = await fetch(`${walhook.url}${path}`, {
        headers: { authorization: `Bearer ${adminToken}`, cookie },
      })
      await answer.text()
      ms.push(performance.now() - startMs)
    }
    took.push(`${path} ${msText(quantile(ms, 0.5))}`)
  }
  const { rows } = await psql.query(
    `select count(*)::int as incidents, count(told_at)::int as told, count(ended_at)::int as ended, count(end_told_at)::int as end_told
     from walhook.incidents`,
  )
  process.stdout.write(
    `${phase}: ${((performance.now() - fromMs) / 1000).toFixed(0)} s, healthy p50 ${msText(quantile(late, 0.5))} p99 ${msText(quantile(late, 0.99))} max ${msText(Math.max(...late))} (${late.length}, missing ${missing}); dead requests ${deadRequests}, alerts ${alerts}, mails ${smtp.mails.length}; ${JSON.stringify(rows[0])}; ${took.join(', ')}; memory ${memoryMb(walhook.pid).highest} MB\n`,
  )
}
const logIn = await fetch(`${walhook.url}/login`, {
  method: 'POST',
  redirect: 'manual',
  headers: { 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ token: adminToken }).toString(),
})
const cookie = logIn.headers
  .getSetCookie()
  .map(one => one.split(';')[0])
  .join('; ')
if (cookie === '') throw new Error(`no log-in: ${logIn.status}`)

let phaseMs = await begin()
await sleep(10_000)
await report('before', phaseMs)

phaseMs = await begin()
await psql.query(insertUsers('1', '1'))
await until(() => deadRequests >= webhooks, { what: 'each to fail once', timeoutMs })
await report('first failures', phaseMs)
await psql.query(
  `update walhook.webhooks set failing_since = failing_since - interval '5 minutes', failed_at = failed_at - interval '5 minutes'
   where failed_at is not null`,
)
phaseMs = await begin()
const told = async (column: string) =>
  (await psql.query(`select count(${column})::int as n from walhook.incidents`)).rows[0].n >= webhooks
await until(() => told('told_at'), { what: 'all alerts to be told', timeoutMs })
await report('alerts', phaseMs)
phaseMs = await begin()
await until(() => alerts >= webhooks, { what: 'the watcher to have them', timeoutMs })
await report('watcher has them', phaseMs)
phaseMs = await begin()
isDead = false
await until(() => told('end_told_at'), { what: 'all recoveries to be told', timeoutMs })
await report('recovered', phaseMs)

phaseMs = await begin()
await way.closeFor(60_000)
await sleep(30_000)
await report('source away for 60 s', phaseMs)
phaseMs = await begin()
await psql.query('begin; lock table walhook.positions in access exclusive mode')
await sleep(50_000)
await psql.query('rollback')
await sleep(20_000)
await report('outbox locked for 50 s', phaseMs)
const { rows: ofCapture } = await psql.query(
  `select kind, subject, count::int, extract(epoch from ended_at - opened_at)::int as seconds from walhook.incidents
   where webhook_id is null or webhook_id <= 2 order by id`,
)
process.stdout.write(`incidents of capture, and of the two healthy webhooks: ${JSON.stringify(ofCapture)}\n`)
isWriting = false
await writing
for (const { raw } of smtp.mails) process.stdout.write(`${/^Subject: (.*(?:\n .*)*)$/m.exec(raw)![1]}\n`)
