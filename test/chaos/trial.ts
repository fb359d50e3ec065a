import { appendFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { connect } from '../support/connect.ts'
import type { OwnServer } from '../support/own-database.ts'
import { randomFrom } from '../support/random.ts'
import { openFleet } from './fleet.ts'
import type { At, Done } from './operation.ts'
import { keepUsual } from './operations/settings.ts'
import { check, type Received } from './oracle.ts'
import { operationOf, type Planned } from './plan.ts'
import { settle } from './settle.ts'
import { readGaps, readParked, readPresent, readTold } from './state.ts'
import { createTables, defaultNames, mappingOf, secretMark } from './tables.ts'
import type { Truth } from './truth.ts'
import { openWitness, readJournal } from './witness.ts'
import { startWorkload } from './workload.ts'

export type Trial = Awaited<ReturnType<typeof openTrial>>

/** A database under load with walhook beside it, what is done to them, and what is known of them. */
export async function openTrial(server: OwnServer, seed: number) {
  const folder = join(import.meta.dirname, '..', '..', 'data', 'chaos', String(seed))
  await mkdir(folder, { recursive: true })
  const trail = openTrail(join(folder, 'operations.jsonl'))
  const database = await server.database()
  const version = await prepare(database)
  const fleet = await openFleet(database, folder)
  const names = defaultNames()
  const url = () => new URL(`/${database.name}`, server.url()).href
  const at: Omit<At, 'random'> = {
    server,
    database,
    fleet,
    names,
    slot: database.name,
    version,
    connect: () => connect(url()),
    sql: (...statements) => runAll(url(), statements),
  }
  await fleet.start().ready()
  const workload = startWorkload({ url: url(), names, seed, writers: 3, restMs: 25 })
  const truth: Truth = new Map()
  const received: Received = new Map()
  const last = { id: '0', lsn: 0n }
  const total = { rounds: 0, operations: 0, events: 0, exact: 0, later: 0, inGaps: 0, mends: 0 }
  /** What was done and can be taken back. */
  let undoes: Done[] = []

  let wasReshaped = false

  async function operate({ name, seed, restMs }: Planned, round: number): Promise<void> {
    const line = { round, operation: name, seed, restMs }
    try {
      const done = await operationOf(name).run({ ...at, random: randomFrom(seed) })
      if (!done) return
      trail.add({ ...line, did: done.did })
      if (/ column /.test(done.did)) wasReshaped = true
      total.operations++
      undoes.push(done)
    } catch (error) {
      trail.add({ ...line, failed: String((error as Error).message) })
    }
  }

  /** What must not last ends; of the rest, something is taken back, and the rest is left to what walhook says. */
  async function release(round: number, random: () => number): Promise<void> {
    for (const done of undoes) await done.release?.()
    const left: Done[] = []
    for (const done of undoes.reverse())
      if (!done.undo) continue
      else if (random() >= 0.4) left.unshift(done)
      else
        await Promise.resolve(done.undo()).then(
          () => trail.add({ round, undone: done.did }),
          error => trail.add({ round, undone: done.did, failed: String(error.message) }),
        )
    undoes = left
  }

  async function checkRound(round: number, mends: readonly string[]): Promise<void> {
    await using client = await at.connect()
    const told = await readTold(client, last.id)
    last.id = told.at(-1)?.id ?? last.id
    const entries = await readJournal(client, database.name, last.lsn)
    last.lsn = entries.at(-1)?.commitLsn ?? last.lsn
    const period = {
      entries,
      told,
      gaps: await readGaps(client),
      parked: await readParked(client),
      wasResynced:
        mends.some(mend => /resync|backfill/.test(mend)) ||
        entries.some(({ silence }) => silence === 'attached'),
      wasReshaped,
      present: await readPresent(client, names),
    }
    wasReshaped = false
    const { faults, ...counts } = check(period, truth, received)
    const leaks = told.filter(({ result }) => JSON.stringify(result).includes(secretMark))
    faults.push(...leaks.map(({ id, entity }) => `event ${id} of ${entity} has what the mapping omits`))
    trail.add({ round, mends, ...counts, faults: faults.slice(0, 20) })
    total.events += told.length
    total.mends += mends.length
    for (const name of ['exact', 'later', 'inGaps'] as const) total[name] += counts[name]
    expect(faults.slice(0, 20)).toEqual([])
  }

  return {
    total,
    trail: trail.lines,
    lastLines: fleet.lastLines,
    operate,
    /** Ends a round: everything comes to rest, and is checked. Returns what was done because walhook asked for it. */
    async conclude(round: number): Promise<readonly string[]> {
      const random = randomFrom(seed + round)
      await workload.pause()
      await release(round, random)
      const { mends } = await settle({ ...at, random }, [...undoes], line => trail.add({ round, ...line }))
      await checkRound(round, mends)
      // Names, rights and settings are the usual ones again, so that each round begins alike.
      for (const done of undoes.splice(0).reverse()) await Promise.resolve(done.undo?.()).catch(() => {})
      await fleet.setClock(0)
      await fleet.setMapping(mappingOf(names))
      // A mapping is read at the start.
      if (mends.some(mend => mend.includes('mapping'))) {
        await fleet.endAll('SIGTERM')
        fleet.start()
      }
      workload.resume()
      total.rounds++
      return mends
    },
    async [Symbol.asyncDispose]() {
      await workload.stop()
      await fleet[Symbol.asyncDispose]()
      trail.add({ total, transactions: workload.transactions() })
    },
  }
}

/** Makes tables, journal and witness, and keeps the test's own account from the settings that operations change. */
async function prepare(database: { url: string; name: string }): Promise<number> {
  await using client = await connect(database.url)
  await createTables(client)
  await openWitness(client, database.name)
  const { rows } = await client.query(`select current_setting('server_version_num')::int / 10000 as version`)
  const version = Number(rows[0].version)
  for (const statement of keepUsual(version, new URL(database.url).username)) await client.query(statement)
  return version
}

async function runAll(url: string, statements: readonly string[]): Promise<Record<string, unknown>[]> {
  await using client = await connect(url)
  await client.query(`set lock_timeout = '15s'; set statement_timeout = '30s'`)
  let rows: Record<string, unknown>[] = []
  for (const statement of statements) rows = [await client.query(statement)].flat().at(-1)!.rows
  return rows
}

/** What happens, as lines of JSON in a file and, cut, for the message of a failure. */
function openTrail(file: string) {
  const lines: string[] = []
  return {
    lines,
    add(line: object) {
      const text = JSON.stringify({ at: new Date().toISOString(), ...line })
      lines.push(text.slice(0, 900))
      if (lines.length > 200) lines.shift()
      appendFileSync(file, `${text}\n`)
    },
  }
}
