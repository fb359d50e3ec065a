import { appendFileSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { randomFrom } from '../support/random.ts'
import { openFleet } from './fleet.ts'
import { type At, type Done, type Operation, pick } from './operation.ts'
import { columnOperations } from './operations/columns.ts'
import { processOperations } from './operations/processes.ts'
import { publicationOperations } from './operations/publication.ts'
import { keepUsual, settingOperations } from './operations/settings.ts'
import { slotOperations } from './operations/slot.ts'
import { tableOperations } from './operations/tables.ts'
import { judge, type Received } from './oracle.ts'
import { settle } from './settle.ts'
import { readGaps, readParked, readPresent, readTold } from './state.ts'
import { createTables, mappingOf, secretMark, usualNames } from './tables.ts'
import type { Truth } from './truth.ts'
import { openWitness, readJournal } from './witness.ts'
import { startWorkload } from './workload.ts'

/**
 * WALHOOK_CHAOS_S runs it for as long as one wants. WALHOOK_CHAOS_SEED repeats what a failure has printed;
 * WALHOOK_CHAOS_ONLY takes the operations whose names match it, WALHOOK_CHAOS_REPLAY those of a log of another run (with
 * lines taken out, it finds the shortest that still fails).
 */
const seconds = Number(process.env.WALHOOK_CHAOS_S || 60)
const seed = Number(process.env.WALHOOK_CHAOS_SEED || Math.floor(Math.random() * 2 ** 31))
/** What walhook is known to go through. */
const usual =
  '^(kill|stop w|start|freeze|terminate|crash|add a col|drop a col|put a|rename a col|retype|fill|another rep|a lock|an odd)'
const only = new RegExp(process.env.WALHOOK_CHAOS_ONLY || usual)
const replayed = process.env.WALHOOK_CHAOS_REPLAY

const operations: readonly Operation[] = [
  ...processOperations,
  ...publicationOperations,
  ...slotOperations,
  ...columnOperations,
  ...tableOperations,
  ...settingOperations,
].filter(({ name }) => only.test(name))

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ wal_sender_timeout: '4s', max_replication_slots: '20' })
})
afterAll(() => server[Symbol.asyncDispose]())

type Planned = { readonly name: string; readonly seed: number; readonly restMs: number }

/** Rounds of one to eight operations, of which the weights say how often each comes. */
function* plan(): Generator<Planned[]> {
  const random = randomFrom(seed)
  const bag = operations.flatMap(operation => Array.from({ length: operation.weight }, () => operation))
  for (;;) {
    const isStopped = random() < 0.4 && only.test('stop walhook')
    const round = Array.from({ length: Math.ceil(random() * random() * 8) }, () => ({
      name: pick(random, bag).name,
      seed: Math.floor(random() * 2 ** 31),
      restMs: Math.floor(random() * random() * 1_500),
    }))
    if (isStopped) round.unshift({ name: 'stop walhook', seed: Math.floor(random() * 2 ** 31), restMs: 300 })
    yield round
  }
}

async function* replay(file: string): AsyncGenerator<Planned[]> {
  const lines = (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const rounds = Map.groupBy(
    lines.filter(line => line.operation),
    line => line.round,
  )
  for (const round of rounds.values())
    yield round.map(({ operation, seed, restMs }) => ({ name: operation, seed, restMs }))
}

test(
  `random harm to the source for ${seconds} s (WALHOOK_CHAOS_SEED=${seed}): each change is told once and exactly, or its gap is, and every mend works`,
  async () => {
    const folder = join(import.meta.dirname, '..', '..', 'data', 'chaos', String(seed))
    await mkdir(folder, { recursive: true })
    const trail: string[] = []
    const log = (line: object) => {
      const text = JSON.stringify({ at: new Date().toISOString(), ...line })
      trail.push(text.slice(0, 900))
      appendFileSync(join(folder, 'operations.jsonl'), `${text}\n`)
    }
    const database = await server.database()
    const account = new URL(database.url).username
    const names = usualNames()
    let version: number
    {
      await using client = await connect(database.url)
      await createTables(client)
      await openWitness(client, database.name)
      const { rows } = await client.query(
        `select current_setting('server_version_num')::int / 10000 as version`,
      )
      version = Number(rows[0].version)
      for (const statement of keepUsual(version, account)) await client.query(statement)
    }
    await using fleet = await openFleet(database, folder)
    const at: Omit<At, 'random'> = {
      server,
      database,
      fleet,
      names,
      slot: database.name,
      version,
      connect: () => connect(database.url),
      async sql(...statements) {
        await using client = await connect(database.url)
        let rows: Record<string, unknown>[] = []
        await client.query(`set lock_timeout = '15s'; set statement_timeout = '30s'`)
        for (const statement of statements) {
          const result = await client.query(statement)
          rows = [result].flat().at(-1)!.rows
        }
        return rows
      },
    }
    await fleet.start().ready()
    const workload = startWorkload({ url: database.url, names, seed, writers: 3, restMs: 25 })
    const truth: Truth = new Map()
    const received: Received = new Map()
    let lastId = '0'
    let lastLsn = 0n
    let undoes: Done[] = []
    const total = { rounds: 0, operations: 0, events: 0, exact: 0, later: 0, inGaps: 0, mends: 0 }

    async function operate(planned: Planned, round: number): Promise<Done | null> {
      const operation =
        operations.find(({ name }) => name === planned.name) ??
        processOperations.find(({ name }) => name === planned.name)
      const { name, ...rest } = planned
      const done = await operation!.run({ ...at, random: randomFrom(planned.seed) }).catch(error => {
        log({ round, operation: name, ...rest, failed: String(error.message) })
        return null
      })
      if (done) {
        log({ round, operation: name, ...rest, did: done.did })
        total.operations++
      }
      return done
    }

    async function checkpoint(round: number, random: () => number): Promise<void> {
      await workload.pause()
      for (const done of undoes) await done.release?.()
      // What is not taken back is left to what walhook says.
      for (const done of undoes.splice(0).reverse())
        if (done.undo && random() < 0.4) {
          log({ round, undone: done.did })
          await Promise.resolve(done.undo()).catch(error => log({ round, notUndone: String(error.message) }))
        } else if (done.undo) undoes.unshift(done)
      const { mends, states } = await settle({ ...at, random }, [...undoes], line => log({ round, ...line }))
      total.mends += mends.length
      await using client = await connect(database.url)
      const told = await readTold(client, lastId)
      lastId = told.at(-1)?.id ?? lastId
      total.events += told.length
      const entries = await readJournal(client, database.name, lastLsn)
      lastLsn = entries.at(-1)?.commitLsn ?? lastLsn
      const leaks = told.filter(({ result }) => JSON.stringify(result).includes(secretMark))
      const verdict = judge(
        {
          entries,
          told,
          gaps: await readGaps(client),
          parked: await readParked(client),
          wasResynced: mends.some(mend => /resync|backfill/.test(mend)),
          present: await readPresent(client, names),
        },
        truth,
        received,
      )
      const { faults, ...counts } = verdict
      log({ round, settled: states, mends, ...counts, faults: faults.slice(0, 20) })
      total.exact += counts.exact
      total.later += counts.later
      total.inGaps += counts.inGaps
      expect(leaks.map(({ id, entity }) => `event ${id} of ${entity} has what the mapping omits`)).toEqual([])
      expect(faults.slice(0, 20)).toEqual([])
    }

    /** Back to the usual names, rights and settings, so that each round begins alike. */
    async function tidy(): Promise<void> {
      for (const done of undoes.splice(0).reverse()) await Promise.resolve(done.undo?.()).catch(() => {})
      await fleet.setClock(0)
      await fleet.setMapping(mappingOf(names))
    }

    const endAt = performance.now() + seconds * 1_000
    try {
      const rounds = replayed ? replay(replayed) : plan()
      for await (const round of rounds) {
        const number = ++total.rounds
        for (const planned of round) {
          const done = await operate(planned, number)
          if (done) undoes.push(done)
          await sleep(planned.restMs)
        }
        await checkpoint(number, randomFrom(seed + number))
        undoes = undoes.filter(({ undo }) => undo)
        await tidy()
        workload.resume()
        if (performance.now() > endAt) break
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(
        [
          message,
          `--- the last operations (all: data/chaos/${seed}/operations.jsonl)`,
          ...trail.slice(-20),
          '--- the last lines of walhook',
          ...fleet.lastLines(),
          `--- again: WALHOOK_CHAOS_SEED=${seed} npx vitest run test/chaos; with fewer operations: WALHOOK_CHAOS_REPLAY=<that file, shortened>`,
        ].join('\n'),
        { cause: error },
      )
    } finally {
      await workload.stop()
      log({ total, transactions: workload.transactions() })
    }
    expect(total.events, JSON.stringify(total)).toBeGreaterThan(seconds)
  },
  (seconds + 600) * 1_000,
)
