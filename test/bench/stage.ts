import { cpus } from 'node:os'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import type { Contender, Place } from './contenders/contender.ts'
import { cpuSeconds, memoryMb } from './figures.ts'
import { startLightReceiver } from './receiver.ts'
import { createTables } from './users.ts'

/** Settings of the benchmark's own Postgres: those of a modest server. Commits of workers are flushed; fsync is on. */
export const serverSettings = {
  max_wal_size: '8GB',
  shared_buffers: '1GB',
  max_connections: '200',
  max_replication_slots: '50',
  max_wal_senders: '50',
}

export type Stage = Awaited<ReturnType<typeof openStage>>

/** The benchmark's own Postgres, with `more` settings, and receiver. Both are its own processes, on loopback. */
export async function openStage(more: Readonly<Record<string, string>> = {}) {
  const server = await openOwnServer({ ...serverSettings, ...more })
  const receiver = await startLightReceiver()
  await using psql = await connect(server.url())
  const { rows } = await psql.query(`select current_setting('server_version') as version`)
  const { rows: postmaster } = await psql.query(
    `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`,
  )
  return {
    receiver,
    serverPid: Number(postmaster[0].pid),
    description: `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]!.model}, PostgreSQL ${rows[0].version}, Node.js ${process.version}, receiver ${receiver.kind}`,

    /** A database of its own with the brief's empty tables, in which a contender is prepared. */
    async place(contender: Pick<Contender, 'prepare'>, receiverUrl = receiver.url): Promise<Place> {
      const place = { ...(await server.database()), receiverUrl }
      await using own = await connect(place.url)
      await own.query(createTables)
      await contender.prepare(place)
      return place
    },

    /** Frees the slots of a place, so that Postgres keeps no WAL for them. */
    async leave(place: Place): Promise<void> {
      await using admin = await connect(place.url)
      await admin.query(
        `select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active`,
        [place.name],
      )
      await admin.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active`,
        [place.name],
      )
    },

    /** Leaves a place and gives back the disk that it takes. */
    async drop(place: Place): Promise<void> {
      await this.leave(place)
      await using admin = await connect(server.url())
      await admin.query(`drop database ${place.name} with (force)`)
    },

    async [Symbol.asyncDispose]() {
      await receiver[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** CPU seconds of a worker's processes and of Postgres between two moments, and the memory of the largest process. */
export function startMeter(stage: Stage, ...pids: readonly number[]) {
  const workerS = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  const before = { worker: workerS(), postgres: cpuSeconds(stage.serverPid) }
  return () => ({
    workerS: workerS() - before.worker,
    postgresS: cpuSeconds(stage.serverPid) - before.postgres,
    highestMb: Math.max(...pids.map(pid => memoryMb(pid).highest)),
  })
}
