import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../support/connect.ts'
import { until } from '../support/wait.ts'
import { measureApplication } from './application.ts'
import type { Contender } from './contenders/contender.ts'
import { createWebhook, startWalhook } from './contenders/walhook.ts'
import { median, table } from './figures.ts'
import { openStage, type Stage } from './stage.ts'

/**
 * `npm run bench:harm [application|held-back …]`: what the application pays for walhook. Its rate of inserts while walhook captures everything and
 * delivers nothing, and with a row trigger that puts a job into a table instead, each as a ratio to the application alone
 * in the same round; and the WAL that is held back while it writes only to tables that are not captured, for
 * BENCH_HELD_BACK_S seconds (600).
 */
const heldBackS = Number(process.env.BENCH_HELD_BACK_S || 600)
const bytesPerWrite = 1_000_000
const writesPerS = 4
const settleS = 30

const capturing: Contender = {
  name: 'walhook captures',
  setup: 'one webhook that wants everything; nothing is delivered',
  async prepare() {},
  async start(place) {
    const walhook = await startWalhook(place, [], { WALHOOK_ROLES: 'capture,api' })
    await createWebhook(walhook.url, { name: 'bench', url: place.receiverUrl })
    return walhook
  },
}

const rowTrigger: Contender = {
  name: 'row trigger',
  setup: 'a job with the row as JSON for each change; nobody works it off',
  async prepare(place) {
    await using psql = await connect(place.url)
    await psql.query(`
      create table jobs (id bigint generated always as identity primary key, kind text not null, payload jsonb not null,
                         run_at timestamptz not null default now());
      create index on jobs (run_at);
      create function enqueue() returns trigger language plpgsql as $$ begin
        insert into jobs (kind, payload) values (tg_table_name || '.' || lower(tg_op), to_jsonb(new));
        return null;
      end $$;
      create trigger enqueue after insert or update on users for each row execute function enqueue()`)
  },
  async start() {
    return { pid: process.pid, async [Symbol.asyncDispose]() {} }
  },
}

async function measureHeldBack(stage: Stage) {
  const place = await stage.place(capturing)
  await using _walhook = await capturing.start(place)
  await using psql = await connect(place.url)
  await psql.query('create table noise (t text); alter table noise alter t set storage external')
  const read = async () =>
    (
      await psql.query(
        `select pg_current_wal_lsn() - '0/0' as at, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as bytes
         from pg_replication_slots where slot_name = $1`,
        [place.name],
      )
    ).rows[0]
  const start = Number((await read()).at)
  const seen: number[] = []
  const endAt = performance.now() + heldBackS * 1000
  while (performance.now() < endAt) {
    await psql.query(`insert into noise select repeat('x', $1)`, [bytesPerWrite])
    seen.push((await read()).bytes)
    await sleep(1000 / writesPerS)
  }
  const { at, bytes: atEnd } = await read()
  const after = await until(
    async () => {
      const { bytes } = await read()
      return bytes < 16_000_000 && { bytes }
    },
    { what: 'less than 16 MB to be held back', timeoutMs: settleS * 1000, intervalMs: 500 },
  )
  await stage.leave(place)
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  return table(
    [`${heldBackS} s of writes to an unpublished table`, 'held back'],
    [
      [`WAL written: ${mb(Number(at) - start)}`, ''],
      ['median meanwhile', mb(median(seen))],
      ['at the highest', mb(Math.max(...seen))],
      [
        'above 16 MB',
        `${((100 * seen.filter(bytes => bytes > 16e6).length) / seen.length).toFixed(1)} % of the time`,
      ],
      ['at the last write', mb(atEnd)],
      [`within ${settleS} s of it`, mb(after.bytes)],
    ],
  )
}

const sections: Record<string, (stage: Stage) => Promise<string>> = {
  async application(stage) {
    const { text } = await measureApplication(stage, [capturing, rowTrigger])
    return [`${text}\n`, ...[capturing, rowTrigger].map(({ name, setup }) => `${name}: ${setup}`)].join('\n')
  },
  'held-back': measureHeldBack,
}
const say = (line: string) => process.stdout.write(`${line}\n`)
const wanted = process.argv.slice(2)
{
  await using stage = await openStage()
  say(stage.description)
  for (const name of wanted.length > 0 ? wanted : Object.keys(sections))
    say(`\n${await sections[name]!(stage)}`)
}
