import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSource } from '../../src/capture/source/source.ts'
import { connectionTo } from '../../src/outbox/database/connecting.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { listenForWakes, notifyWake } from '../../src/outbox/log/wake.ts'
import { connect } from '../support/connect.ts'
import { openServerPair, type ServerPair } from '../support/server-pair.ts'
import { until } from '../support/wait.ts'

let pair: ServerPair
beforeAll(async () => {
  pair = await openServerPair(['create table things (id integer)'])
  await pair.follows()
})
afterAll(() => pair?.[Symbol.asyncDispose]())

/** Both servers, the standby first. */
function standbyFirst(): string {
  const { host } = new URL(pair.primary.url)
  return pair.primary.url.replace(host, `127.0.0.1:${pair.standby.port},127.0.0.1:${pair.primary.port}`)
}

const open = (url: string) => openOutbox({ url, maxConnections: 2, onError() {} })

async function portOf({ pool }: Pick<ReturnType<typeof open>, 'pool'>): Promise<number> {
  const { rows } = await pool.query(`select current_setting('port')::int as port`)
  return rows[0].port
}

test('the primary is found in any order of hosts', async () => {
  for (const url of [pair.url, standbyFirst()]) {
    await using outbox = open(url)
    expect(await portOf(outbox)).toBe(pair.primary.port)
    // It reads every value as text.
    await using source = openSource({ url, onError() {} })
    expect(Number(await portOf(source))).toBe(pair.primary.port)
    const config = await connectionTo(url, 'test')
    expect(new URL(config.connectionString!).searchParams.get('port')).toBe(String(pair.primary.port))
  }
})

test('if no host is the primary, each is named with its reason, without the password', async () => {
  const { password } = new URL(pair.standby.url)
  const url = `postgres://postgres:${password}@127.0.0.1:${pair.standby.port},127.0.0.1:1/postgres`
  await using outbox = open(url)
  const error: Error = await outbox.pool.query('select').catch(error => error)
  expect(error).toMatchObject({ code: 'EHOSTUNREACH' })
  expect(error.message).toContain(`127.0.0.1:${pair.standby.port}: a standby`)
  expect(error.message).toContain('127.0.0.1:1: connect ECONNREFUSED')
  expect(error.message).not.toContain(password)
})

test('a standby is refused if the URL has one host', async () => {
  await using outbox = open(`${pair.standby.url}?target_session_attrs=primary`)
  await expect(outbox.pool.query('select')).rejects.toThrow('no server to use: the server: a standby')
  await using anything = open(pair.standby.url)
  expect(await portOf(anything)).toBe(pair.standby.port)
})

test('a read-only connection is replaced', async () => {
  await using outbox = openOutbox({ url: pair.url, maxConnections: 1, onError() {} })
  const backend = async () => (await outbox.pool.query('select pg_backend_pid() as pid')).rows[0].pid
  const before = await backend()
  await outbox.pool.query('set default_transaction_read_only = on')
  await expect(outbox.pool.query('insert into things values (1)')).rejects.toMatchObject({ code: '25006' })
  await until(async () => (await backend()) !== before, { what: 'another connection' })
  await outbox.pool.query('insert into things values (1)')
})

test('after a failover, pools and listeners use the new primary, also when the old one is back', async () => {
  await using outbox = open(pair.url)
  expect(await portOf(outbox)).toBe(pair.primary.port)
  const heard: (string | null)[] = []
  const stop = new AbortController()
  const listen = () => listenForWakes(pair, told => heard.push(told), stop.signal)
  const first = listen()
  first.catch(() => {})
  await until(() => heard.includes(null), { what: 'the listener to listen' })

  await pair.primary.stop('immediate')
  await expect(first).rejects.toThrow()
  await expect(listen()).rejects.toThrow('a standby')
  await pair.promote()
  await until(async () => (await portOf(outbox)) === pair.standby.port, { what: 'the new primary' })
  heard.length = 0
  const second = listen()
  await until(() => heard.includes(null), { what: 'the listener to listen anew' })
  await notifyWake(outbox)
  await until(() => heard.includes(''), { what: 'the wake-up' })

  // It has not heard of its successor: a primary, too, and the first host of the URL.
  const back = await pair.start(pair.folder)
  try {
    await using psql = await connect(back.url)
    expect((await psql.query('select pg_is_in_recovery() as it')).rows).toEqual([{ it: false }])
    await using later = open(pair.url)
    expect(await portOf(later)).toBe(pair.standby.port)
  } finally {
    await back.stop('immediate')
    stop.abort()
    await second
  }
})
