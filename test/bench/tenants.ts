import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../../playground/process-alive.ts'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { adminToken, benchSecret, startWalhook } from './contenders/walhook.ts'
import { median, memoryMb, msText, perSecond, quantile, rateText, table } from './figures.ts'
import { idleShares, shareText } from './idle.ts'
import { rateOf } from './shape.ts'
import { openStage } from './stage.ts'
import { insertUsers, writeUsers } from './users.ts'

/**
 * Few tenants and many, with two webhooks each, in turns: `node test/bench/tenants.ts`. What walhook costs while nothing happens, how
 * soon after a start it delivers, how fast it delivers and appends, and how long `/metrics` and the pages take that an administrator opens.
 * BENCH_TENANTS: 100 and 5,000 by default, each BENCH_ROUNDS (3) times; BENCH_ROWS: 20,000.
 */
const sizes = (process.env.BENCH_TENANTS ?? '100,5000').split(',').map(Number)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const rows = Number(process.env.BENCH_ROWS ?? 20_000)
const warmUp = rows / 2
const perTransaction = 200
const idleMs = 30_000
const perTenant = 2
const looks = ['/metrics', '/couplings', '/health', '/events']

/** Whose a user is: the tenants in turns. */
const tables = (tenants: number) => `
  create sequence organisations maxvalue ${tenants} cycle;
  alter table users add organisation_id integer not null default nextval('organisations');`

const mapping = 'entities:\n  user:\n    table: users\n    tenant: organisation_id\n'

/** As the API makes them, but for the minutes that thousands of calls take. */
const insertWebhooks = `
  insert into walhook.webhooks (id, name, url, triggers, secret, tenant)
  select n, 'bench ' || n, $2 || '?webhook=' || n, '{user.new}', $3, (1 + (n - 1) / ${perTenant})::text
  from generate_series(1, $1::int * ${perTenant}) n`

type Round = {
  readonly own: number
  readonly backends: number
  readonly firstMs: number
  readonly deliver: number
  readonly append: number
  readonly memory: number
  readonly looks: readonly number[]
}

const folder = await mkdtemp(join(tmpdir(), 'walhook-bench-'))
const config = join(folder, 'walhook.yaml')
await writeFile(config, mapping)
await using stage = await openStage()
process.stdout.write(`${stage.description}\n\n`)
const measured = new Map<number, Round[]>(sizes.map(size => [size, []]))
for (let round = 0; round < rounds; round++)
  for (const tenants of sizes) measured.get(tenants)!.push(await measure(tenants))
await rm(folder, { recursive: true })

const of = (size: number, pick: (round: Round) => number) => median(measured.get(size)!.map(pick))
const line = (what: string, text: (size: number) => string) => [what, ...sizes.map(text)]
const head = ['', ...sizes.map(size => `${size.toLocaleString('en')} tenants`)]
const lines = [
  line('idle, of a core: walhook', size => shareText(of(size, ({ own }) => own))),
  line('its connections in Postgres', size => shareText(of(size, ({ backends }) => backends))),
  line('first delivery after a start', size => msText(of(size, ({ firstMs }) => firstMs))),
  line('delivered', size => rateText(of(size, ({ deliver }) => deliver))),
  line('appended', size => rateText(of(size, ({ append }) => append))),
  line('memory at most', size => `${Math.round(of(size, ({ memory }) => memory))} MB`),
  ...looks.map((path, i) => line(`${path}, p50`, size => msText(of(size, ({ looks }) => looks[i]!)))),
]
process.stdout.write(`${table(head, lines)}\n\n`)
for (const [size, all] of measured)
  for (const { looks, ...figures } of all) process.stdout.write(`${size}: ${JSON.stringify(figures)}\n`)

async function measure(tenants: number): Promise<Round> {
  const place = await stage.place({
    async prepare({ url }) {
      await using own = await connect(url)
      await own.query(tables(tenants))
    },
  })
  const start = (roles: string) => startWalhook(place, [], { WALHOOK_CONFIG: config, WALHOOK_ROLES: roles })
  const all = 'capture,delivery,api'
  await using psql = await connect(place.url)
  await endGently(await start(all))
  await psql.query(insertWebhooks, [tenants, place.receiverUrl, benchSecret()])
  await psql.query('vacuum (analyze)')
  let first = 0
  const write = async (count: number) => {
    await writeUsers(psql, { first, rows: count, perTransaction })
    first += count
  }

  await psql.query(insertUsers('0', '0'))
  const startMs = performance.now()
  let walhook: Awaited<ReturnType<typeof startWalhook>> | null = null
  const firstMs = await rateOf(stage.receiver, perTenant, async () => {
    walhook = await start(all)
  }).then(() => performance.now() - startMs)
  const { pid, url } = walhook!
  const { own, backends } = await idleShares(stage, psql, pid, idleMs)
  await rateOf(stage.receiver, warmUp * perTenant, () => write(warmUp))
  const deliver = await rateOf(stage.receiver, rows * perTenant, () => write(rows))
  const looks = await visit(url)
  const { highest: memory } = memoryMb(pid)
  await endGently(walhook!)

  await using capturing = await start('capture,api')
  const untilAppended = async (count: number) => {
    const isThere = async () =>
      (await psql.query('select count(*)::int as n from walhook.events')).rows[0].n >= count
    await until(isThere, { what: `${count} events`, timeoutMs: 240_000, intervalMs: 20 })
  }
  await write(warmUp)
  await untilAppended(1 + first)
  const appendMs = performance.now()
  await write(rows)
  await untilAppended(1 + first)
  const append = perSecond(rows, performance.now() - appendMs)
  await capturing[Symbol.asyncDispose]()
  await stage.drop(place)
  return { own, backends, firstMs, deliver, append, memory, looks }
}

/** It gives its shares back: nobody has to take over from it. */
async function endGently(walhook: Awaited<ReturnType<typeof startWalhook>>): Promise<void> {
  process.kill(walhook.pid, 'SIGTERM')
  await until(async () => !isAlive(walhook.pid), { what: 'walhook to end' })
}

/** How long each of the pages takes, as the median of ten. */
async function visit(url: string): Promise<number[]> {
  const logIn = await fetch(`${url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams({ token: adminToken }),
  })
  const cookie = logIn.headers.get('set-cookie')!.split(';')[0]!
  const medians: number[] = []
  for (const path of looks) {
    const times: number[] = []
    for (let i = 0; i < 10; i++) {
      const startMs = performance.now()
      const answer = await fetch(url + path, { headers: { cookie } })
      await answer.text()
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
      times.push(performance.now() - startMs)
    }
    medians.push(quantile(times, 0.5))
  }
  return medians
}
