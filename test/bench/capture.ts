import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { createCapture } from '../../src/capture/capture.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { probePrefix } from '../../src/capture/stream/decode.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'
import { drainBare } from './limits.ts'
import { program } from './published.ts'

/**
 * `npm run bench:capture`: how fast capture stores what the WAL holds (one webhook that wants everything), as a ratio
 * to a bare reader of the same stream in the same run, and how much memory a transaction of a million rows takes.
 * The load is written beforehand, so that its own commits are not the bound. Everything is on loopback.
 */
const runs = 5
const rowsPerRun = 60_000
const shapes = [1, 10, 1_000]
const giantRows = 1_000_000

const say = (line: string) => process.stdout.write(`${line}\n`)
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
const rate = (rows: number, ms: number) => `${Math.round(rows / (ms / 1000)).toLocaleString('en')}/s`

/** The brief's user: 17 columns, about 600 bytes of JSON. */
const userRow = (i: string) => `
  ${i}, ${i}::text, 'CODE' || ${i}, 'barcode' || ${i}, '2019-11-05 07:56:15', 'Guan', null, 'the Man', 'man',
  'Let''s Get Digital', 'Awesome person', 'barcode' || ${i}, 'https://evins.nl/1/bd0494941c/tyiuW2S1OUv5c3ASL1qv',
  '93627', 'v2d5iy6g0m60tc', 'blue', repeat('n', 120)`

const server = await openOwnServer({
  max_wal_size: '4GB',
  shared_buffers: '512MB',
  synchronous_commit: 'off',
})
try {
  await using psql = await connect(server.url())
  const { rows: version } = await psql.query(`select current_setting('server_version') as v`)
  say(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]!.model}, PostgreSQL ${version[0].v}, Node.js ${process.version}`,
  )
  say('')
  say(`| rows per transaction | bare reader | capture | ratio (median of ${runs}) | lowest to highest |`)
  say('| ---: | ---: | ---: | ---: | ---: |')
  for (const shape of shapes) {
    const results = []
    for (let run = 0; run < runs; run++) results.push(await compare(shape, run % 2 === 0))
    const ratios = results.map(({ bareMs, captureMs }) => bareMs / captureMs)
    const [bareMs, captureMs] = [median(results.map(r => r.bareMs)), median(results.map(r => r.captureMs))]
    say(
      `| ${shape} | ${rate(rowsPerRun, bareMs)} | ${rate(rowsPerRun, captureMs)} | ${median(ratios).toFixed(2)} | ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} |`,
    )
  }
  say('')
  say(await giantTransaction())
} finally {
  await server[Symbol.asyncDispose]()
}

/** The brief's tables, published, with nothing in them yet. */
async function openLoaded() {
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query(`
    create table companies (id integer primary key);
    create table users (
      id integer primary key, external_id text, code text, external_qr_identifier text, checkin timestamp,
      name_first text, name_infix text, name_last text, gender text, company_name text, company_role text,
      normal_qr_code text, secure_qr_code text, aanmelder_survey_id text, qr_link text, badge text, note text);
    create publication walhook for table users, companies`)
  return { database, psql }
}

/** One after the other over the same WAL; which is first changes from run to run. */
async function compare(
  rowsPerTransaction: number,
  bareFirst: boolean,
): Promise<{ bareMs: number; captureMs: number }> {
  const { database, psql } = await openLoaded()
  await using _ = { [Symbol.asyncDispose]: () => psql.end() }
  const outbox = openOutbox({ url: database.url, maxConnections: 4, onError() {} })
  const source = openSource({ url: database.url, onError() {} })
  await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  await insertWebhook(outbox, {
    name: 'bench',
    url: 'https://example.com/',
    isActive: true,
    triggers: ['user.new'],
    secret: 'v1:none',
  })
  const captureSlot = database.name
  const bareSlot = `${database.name}_bare`
  for (const slot of [captureSlot, bareSlot])
    await psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
  await psql.query(`do $$ begin
    for i in 0..${rowsPerRun / rowsPerTransaction - 1} loop
      insert into users select ${userRow('n')} from generate_series(i * ${rowsPerTransaction} + 1, (i + 1) * ${rowsPerTransaction}) n;
      commit;
    end loop; end $$`)
  const id = randomUUID()
  await psql.query('select pg_logical_emit_message(false, $1, $2)', [probePrefix, id])

  const early = bareFirst ? await drainBare(database.url, bareSlot, id) : null
  const captureMs = await drainByCapture()
  const bareMs = early ?? (await drainBare(database.url, bareSlot, id))
  await outbox[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
  for (const slot of [captureSlot, bareSlot])
    await until(() => psql.query('select pg_drop_replication_slot($1)', [slot]), {
      what: 'the slot to be free',
    })
  return { bareMs, captureMs }

  async function drainByCapture(): Promise<number> {
    const stop = new AbortController()
    const capture = createCapture({
      source,
      outbox,
      slotName: captureSlot,
      publicationName: 'walhook',
      mapping: defaultMapping,
      nowMs: () => Date.now(),
      log: silentLog,
      onStored() {},
    })
    const startMs = performance.now()
    const over = capture.run(stop.signal)
    await until(() => capture.lastProbe() === id, { what: 'capture', timeoutMs: 120_000, intervalMs: 5 })
    const ms = performance.now() - startMs
    stop.abort()
    await over
    return ms
  }
}

async function giantTransaction(): Promise<string> {
  const { database, psql } = await openLoaded()
  await using walhook = startWalhook(database, { WALHOOK_ROLES: 'capture,api' }, program)
  await walhook.ready()
  const status = (field: string) =>
    Number(
      new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${walhook.pid}/status`, 'utf8'))![1],
    ) / 1024
  const before = status('VmRSS')
  const startMs = performance.now()
  await psql.query(`insert into users select ${userRow('n')} from generate_series(1, ${giantRows}) n`)
  const writtenMs = performance.now()
  await until(async () => (await psql.query('select from walhook.events limit 1')).rowCount === 1, {
    what: 'the transaction to be stored',
    timeoutMs: 600_000,
    intervalMs: 200,
  })
  const storedMs = performance.now()
  const { rows } = await psql.query('select count(*)::int as n from walhook.events')
  await psql.end()
  return `A transaction of ${giantRows.toLocaleString('en')} rows (written in ${((writtenMs - startMs) / 1000).toFixed(0)} s): ${rows[0].n.toLocaleString('en')} events stored in one commit ${((storedMs - writtenMs) / 1000).toFixed(0)} s later; walhook's memory ${before.toFixed(0)} MB before, ${status('VmHWM').toFixed(0)} MB at its highest.`
}
