import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { checkAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { hangServer } from '../support/hanging-server.ts'
import { openNetwork, type TestNetwork, whyNoDelays, whyNoNetwork } from '../support/network.ts'
import { openOwnServer } from '../support/own-database.ts'
import { startRelay } from '../support/relay.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const versionOf = (body: { result: { version: number } }) => body.result.version
/** A settlement that was under way when the harm came may be of an answer somewhat older than it. */
const settleMs = 5_000
const paths = ['/main', '/east', '/west'] as const
type Path = (typeof paths)[number]

/**
 * A process on each of two hosts; the cell `west` on a host of its own, `east` in another schema of main's database; a webhook in each, and
 * a receiver. All reach each other by the network only.
 */
async function openCells(network: TestNetwork) {
  await using opened = new AsyncDisposableStack()
  const { here, hosts } = network
  const open = async () => {
    const server = opened.use(await openOwnServer({ listen_addresses: `127.0.0.1,${here.database}` }))
    const hba = join(server.dataDir(), 'cluster', 'pg_hba.conf')
    await appendFile(hba, 'host all all 198.18.0.0/16 scram-sha-256\n')
    await using psql = await connect(server.url())
    await psql.query('select pg_reload_conf()')
    return server
  }
  const [main, west] = [await open(), await open()]
  const database = await main.database()
  const psql = opened.use(await connect(database.url))
  await psql.query(versionsTables)
  const receiver = opened.use(
    await startFaultyReceiver(() => ({ delayMs: Math.random() * 100 }), here.receiver),
  )
  const farUrl = new URL((await west.database()).url)
  const farHost = hosts[2]!
  const relay = opened.use(
    await startRelay(
      { prefix: farHost.prefix, address: farHost.addresses.database },
      { host: here.database, port: Number(farUrl.port) },
    ),
  )
  farUrl.host = `${farHost.addresses.database}:${relay.port}`
  const start = (at: number) =>
    startWalhook(
      { ...database, url: database.url.replace('127.0.0.1', here.database) },
      {
        WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(','),
        WALHOOK_ALLOW_TARGETS: '198.19.0.0/16',
        HOST: hosts[at]!.addresses.database,
      },
      undefined,
      hosts[at]!.prefix,
    )
  const processes: WalhookProcess[] = []
  opened.defer(async () => {
    await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))
  })
  for (const at of [0, 1]) {
    processes[at] = start(at)
    await processes[at].ready()
  }
  const cellOf = async (at: number, name: string) => {
    const answer = await (await fetch(`${await processes[at]!.url()}/readyz`)).json()
    const { checks } = answer as { checks: Record<string, { status: string }> }
    return checks[`cell:${name}`]?.status ?? null
  }
  const cell = (at: number, name: string, status: string) =>
    until(async () => (await cellOf(at, name)) === status, {
      what: `the cell ${name} to be ${status} for process ${at}`,
      timeoutMs: 60_000,
      intervalMs: 250,
    })
  const add = async (name: string, ...where: string[]) => {
    expect(await runWalhook(database, ['cell', 'add', name, ...where])).toMatchObject({ code: 0, stderr: '' })
    for (const at of [0, 1]) await cell(at, name, 'working')
  }
  const webhook = async (path: Path) => {
    const fields = { name: path, url: receiver.url(path), triggers: versionsTriggers }
    return (await processes[0]!.api('POST', '/api/webhooks', fields)).id as number
  }
  await add('east')
  await add('west', '--database', farUrl.href)
  // Each goes where the fewest are.
  const ids = {
    '/main': await webhook('/main'),
    '/east': await webhook('/east'),
    '/west': await webhook('/west'),
  }
  const placed = await psql.query('select webhook_id, cell from walhook.placements order by 1')
  expect(placed.rows).toEqual([
    { webhook_id: ids['/east'], cell: 'east' },
    { webhook_id: ids['/west'], cell: 'west' },
  ])
  const load = startVersionsLoad(() => database.url, { users: 60, perSecond: 30 })
  opened.defer(async () => void (await load.end([])))
  const accepted = (path: Path) => {
    const newest = new Map<string, number>()
    for (const { path: of, lane, body, answeredAtMs } of receiver.account)
      if (of === path && answeredAtMs !== null)
        newest.set(lane, Math.max(newest.get(lane) ?? 0, versionOf(body)))
    return [...newest.values()].reduce((sum, version) => sum + version, 0)
  }
  const resources = opened.move()
  return {
    ...{ psql, processes, receiver, start, cell, add, ids, load, main, west, accepted, database },
    moving: async () =>
      (await psql.query('select cell from walhook.placements where moving_to is not null')).rows,
    /** Waits until these webhooks have all that was committed by now. */
    async upToDate(...which: readonly Path[]) {
      await using reader = await connect(database.url)
      const { rows } = await reader.query('select coalesce(sum(version), 0)::int as n from users')
      for (const path of which)
        await until(() => accepted(path) >= rows[0].n, {
          what: `${path} to have ${rows[0].n} versions`,
          timeoutMs: 90_000,
          intervalMs: 50,
        })
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

test('with links cut, servers hanging or killed, and processes paused or killed, every event is accounted for, and an unreachable cell affects its own webhooks only', {
  timeout: 600_000,
}, async ({ skip }) => {
  const reason = whyNoNetwork()
  if (reason !== null) skip(reason)
  await using network = await openNetwork(3)
  await using at = await openCells(network)
  const { load, processes, psql } = at
  const { hosts } = network
  const farAddress = hosts[2]!.addresses.database
  await load.reached(60)
  await at.upToDate(...paths)
  const harms: { fromMs: number; toMs: number; to: readonly Path[] }[] = []
  /** What these webhooks had accepted from shortly before the harm until all are up to date again may come again. */
  const harming = async (to: readonly Path[], work: () => Promise<void>) => {
    const fromMs = performance.now()
    await work()
    await at.upToDate(...paths)
    harms.push({ fromMs, toMs: performance.now(), to })
  }
  /** The others get everything while it lasts. */
  const othersGoOn = async () => {
    await load.reached(load.made() + 60)
    await at.upToDate('/main', '/east')
  }

  // A cell hangs, and a webhook is on its way there, its mover gone.
  await harming(['/west'], async () => {
    const hanging = hangServer(at.west.pid())
    try {
      const id = at.ids['/main']
      await psql.query(`insert into walhook.placements values ($1, 'main', 'west')`, [id])
      await psql.query(`update walhook.webhooks set moving_to = 'west' where id = $1`, [id])
      for (const process of [0, 1]) await at.cell(process, 'west', 'away')
      await load.reached(load.made() + 60)
      await at.upToDate('/east')
      // The move waits, and a new cell does not wait for it.
      await at.add('north')
      expect(await at.moving()).toEqual([{ cell: 'main' }])
    } finally {
      hanging.goOn()
    }
    for (const process of [0, 1]) await at.cell(process, 'west', 'working')
    await until(async () => (await at.moving()).length === 0, { what: 'the move to end', timeoutMs: 60_000 })
  })

  // One process loses its cell, and nothing else: the other one takes over there.
  await harming(['/west'], async () => {
    await hosts[0]!.loses(farAddress)
    await at.cell(0, 'west', 'away')
    await othersGoOn()
    await at.upToDate('/west')
    await hosts[0]!.finds(farAddress)
    await at.cell(0, 'west', 'working')
  })

  // The host of the cell is cut off from everybody, and comes back.
  await harming(['/west'], async () => {
    await hosts[2]!.cut('database')
    for (const process of [0, 1]) await at.cell(process, 'west', 'away')
    await othersGoOn()
    await hosts[2]!.heal('database')
  })

  // The server of the cell crashes.
  await harming(['/west'], async () => {
    await at.west.stop('immediate')
    await othersGoOn()
    await at.west.start()
  })

  // A process is cut off from main and all cells, one is paused, one is killed, one loses the receiver.
  await harming(paths, async () => {
    await hosts[0]!.cut('database')
    await load.reached(load.made() + 60)
    await at.upToDate(...paths)
    await hosts[0]!.heal('database')
  })
  await harming(paths, async () => {
    processes[1]!.kill('SIGSTOP')
    await load.reached(load.made() + 60)
    await at.upToDate(...paths)
    processes[1]!.kill('SIGCONT')
  })
  await harming(paths, async () => {
    processes[0]!.kill('SIGKILL')
    await processes[0]!.exited
    await load.reached(load.made() + 60)
    processes[0] = at.start(0)
    await processes[0].ready()
  })
  await harming(paths, async () => {
    await hosts[1]!.cut('receiver')
    await processes[1]!.logged('delivery.attempted', { outcome: 'unreachable' })
    await hosts[1]!.heal('receiver')
  })

  // Main hangs, and then crashes: everything waits for it.
  await harming(paths, async () => {
    const hanging = hangServer(at.main.pid())
    await until(async () => !(await fetch(`${await processes[0]!.url()}/readyz`)).ok, {
      what: 'a process to miss main',
      timeoutMs: 60_000,
    }).finally(() => hanging.goOn())
  })
  await harming(paths, async () => {
    await at.main.stop('immediate')
    await at.main.start()
  })

  const expected = await load.end(paths)
  await at.upToDate(...paths)
  const { breaches, repetitions } = checkAccount(at.receiver.account, expected, versionOf)
  expect(breaches).toEqual([])
  const isExplained = (path: string, acceptedAtMs: number) =>
    harms.some(
      ({ fromMs, toMs, to }) =>
        to.some(each => each === path) && acceptedAtMs > fromMs - settleMs && acceptedAtMs < toMs,
    )
  expect(repetitions.filter(({ entry, acceptedAtMs }) => !isExplained(entry.path, acceptedAtMs))).toEqual([])
})

test('slow and lossy links only delay events: none is lost, repeated or reordered', {
  timeout: 300_000,
}, async ({ skip }) => {
  const reason = whyNoNetwork() ?? whyNoDelays()
  if (reason !== null) skip(reason)
  await using network = await openNetwork(3)
  await using at = await openCells(network)
  for (const host of network.hosts) for (const net of ['database', 'receiver'] as const) await host.slows(net)
  await at.load.reached(at.load.made() + 300)
  const expected = await at.load.end(paths)
  await at.upToDate(...paths)
  const { breaches, repetitions } = checkAccount(at.receiver.account, expected, versionOf)
  expect([breaches, repetitions]).toEqual([[], []])
})
