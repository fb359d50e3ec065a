import { appendFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { checkAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { openNetwork, type TestNetwork, whyNoNetwork } from '../support/network.ts'
import { openOwnServer } from '../support/own-database.ts'
import { readQueue } from '../support/read-outbox.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const count = 3
/** Of the lock that a holder's session has, as in outbox/holders/holders.ts. */
const sessionLocks = 0x73657373
const versionOf = (body: { result: { version: number } }) => body.result.version
const sumOf = (expected: ReadonlyMap<string, number>) =>
  [...expected.values()].reduce((sum, versions) => sum + versions, 0)

/** A process on each of three hosts, whose clocks are ten minutes apart, and a database and a receiver that they reach by the network. */
async function openHosts(network: TestNetwork) {
  const { here, hosts } = network
  const server = await openOwnServer({ listen_addresses: `127.0.0.1,${here.database}` })
  const hba = join(server.dataDir(), 'cluster', 'pg_hba.conf')
  await appendFile(hba, 'host all all 198.18.0.0/16 scram-sha-256\n')
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query(`select pg_reload_conf(); ${versionsTables}`)
  const receiver = await startFaultyReceiver(() => ({ delayMs: Math.random() * 100 }), here.receiver)
  const clock = pathToFileURL(join(import.meta.dirname, '..', 'chaos', 'clock.ts')).href
  const start = async (at: number) => {
    const file = join(tmpdir(), `hosts-${process.pid}-${at}.clock`)
    await writeFile(file, String((at - 1) * 300_000))
    const env = {
      WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(','),
      WALHOOK_ALLOW_TARGETS: '198.19.0.0/16',
      HOST: hosts[at]!.addresses.database,
      CHAOS_CLOCK: file,
      NODE_OPTIONS: `--import ${clock}`,
    }
    const url = database.url.replace('127.0.0.1', here.database)
    return startWalhook({ ...database, url }, env, undefined, hosts[at]!.prefix)
  }
  const processes: WalhookProcess[] = []
  for (const at of hosts.keys()) {
    processes[at] = await start(at)
    await processes[at].ready()
  }
  await processes[0]!.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url('/crm'),
    triggers: versionsTriggers,
  })
  const holders = async () =>
    (
      await psql.query(
        `select h.id, (select count(*)::int from walhook.shares s where s.holder_id = h.id) as shares
         from walhook.holders h`,
      )
    ).rows
  const shared = async (among: number, what: string) =>
    await until(
      async () => {
        const all = await holders()
        return all.length === among && all.every(({ shares }) => shares === 12 / among)
      },
      { what: `the shares to be divided among ${among}: ${what}` },
    )
  await shared(count, 'at the start')
  return {
    ...{ psql, receiver, processes, start, shared },
    load: startVersionsLoad(() => database.url, { users: 90, perSecond: 40 }),
    /** The holder that a host is now, by the session that it keeps. */
    holderOf: (host: number): Promise<number> =>
      until(
        async () => {
          const { rows } = await psql.query(
            `select l.objid::int as id from pg_locks l join pg_stat_activity a using (pid)
             where l.locktype = 'advisory' and l.classid = ${sessionLocks}::bigint::oid and l.granted
               and a.client_addr = $1 and l.objid::int in (select id from walhook.holders)`,
            [hosts[host]!.addresses.database],
          )
          return rows[0]?.id
        },
        { what: `the session of host ${host}` },
      ),
    takenOver: (holder: number) =>
      Promise.any(processes.map(one => one.logged('delivery.taken_over', { holder }))),
    async allArrive(expected: ReadonlyMap<string, number>) {
      const answered = () => receiver.account.filter(({ answeredAtMs }) => answeredAtMs !== null).length
      await until(async () => answered() >= sumOf(expected) && (await readQueue(psql)).deliveries === 0, {
        what: 'all to arrive and be settled',
        timeoutMs: 90_000,
        intervalMs: 100,
      })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))
      await psql.end()
      await receiver[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** A settlement that was under way when the harm came may be of an answer somewhat older than it. */
const settleMs = 5_000

test('hosts are cut off, paused, killed and return: shares move, nothing is lost or out of order, and each repetition is explained', async ({
  skip,
}) => {
  const reason = whyNoNetwork()
  if (reason !== null) skip(reason)
  await using network = await openNetwork(count)
  await using at = await openHosts(network)
  const { load, processes } = at
  const { hosts } = network
  await load.reached(60)
  const harm: { fromMs: number; toMs: number }[] = []
  /** What was accepted from shortly before the harm until others have taken over may come again. */
  const harming = async <T>(work: () => Promise<T>): Promise<T> => {
    const fromMs = performance.now()
    const result = await work()
    harm.push({ fromMs, toMs: performance.now() })
    return result
  }
  const holder = [await at.holderOf(0), await at.holderOf(1)]

  // It captures, and still reaches the receiver. The database's server asks its host, and gets no answer.
  const cut = await harming(async () => {
    await hosts[0]!.cut('database')
    return await at.takenOver(holder[0]!)
  })
  expect(cut).toMatchObject({ has_session: false })
  // Its host answers, so it gets more time.
  const paused = await harming(async () => {
    processes[1]!.kill('SIGSTOP')
    return await at.takenOver(holder[1]!)
  })
  expect(paused).toMatchObject({ has_session: true })
  const pausedMs = performance.now()
  const made = load.made()
  await until(
    async () => (await at.psql.query('select count(*)::int as n from walhook.events')).rows[0].n >= made,
    { what: 'the third host to capture' },
  )
  // What it had begun has long ended.
  const fromCut = at.receiver.account.filter(
    ({ from, arrivedAtMs }) => from === hosts[0]!.addresses.receiver && arrivedAtMs > pausedMs,
  )
  expect(fromCut).toEqual([])
  await hosts[0]!.heal('database')
  processes[1]!.kill('SIGCONT')
  await Promise.all([0, 1].map(host => processes[host]!.logged('delivery.taken_over_from')))
  await at.shared(count, 'both are back')

  const last = await at.holderOf(2)
  const killed = await harming(async () => {
    processes[2]!.kill('SIGKILL')
    await processes[2]!.exited
    return await at.takenOver(last)
  })
  expect(killed).toMatchObject({ has_session: false })
  await at.shared(count - 1, 'one was killed')
  processes[2] = await at.start(2)
  await at.shared(count, 'another one has come')

  const unreachable = () =>
    processes[1]!.log.filter(({ msg, outcome }) => msg === 'delivery.attempted' && outcome === 'unreachable')
      .length
  const before = unreachable()
  await harming(async () => {
    await hosts[1]!.cut('receiver')
    await until(() => unreachable() > before, { what: 'a receiver that is not reached' })
    await hosts[1]!.heal('receiver')
  })
  const expected = await load.end(['/crm'])
  await at.allArrive(expected)
  const { breaches, repetitions } = checkAccount(at.receiver.account, expected, versionOf)
  expect(breaches).toEqual([])
  const isExplained = (acceptedAtMs: number) =>
    harm.some(({ fromMs, toMs }) => acceptedAtMs > fromMs - settleMs && acceptedAtMs < toMs)
  expect(repetitions.filter(({ acceptedAtMs }) => !isExplained(acceptedAtMs))).toEqual([])
}, 300_000)
