import { setTimeout as sleep } from 'node:timers/promises'
import { type Operation, pick } from '../operation.ts'

/** What happens to processes: walhook's, Postgres's, and the links between them. */
export const processOperations: readonly Operation[] = [
  {
    name: 'kill walhook',
    weight: 6,
    async run({ fleet }) {
      await fleet.endAll('SIGKILL')
      fleet.start()
      return { did: 'SIGKILL, and started again' }
    },
  },
  {
    name: 'stop walhook',
    weight: 5,
    async run({ fleet, random }) {
      const signal = pick(random, ['SIGTERM', 'SIGKILL'] as const)
      await fleet.endAll(signal)
      return { did: `${signal}, and not started until somebody does` }
    },
  },
  {
    name: 'start walhook',
    weight: 5,
    async run({ fleet }) {
      if (fleet.running().length > 1) return null
      fleet.start()
      return { did: `started: ${fleet.running().length} now` }
    },
  },
  {
    name: 'freeze walhook',
    weight: 2,
    async run({ fleet, random }) {
      const process = pick(random, fleet.running())
      if (!process) return null
      process.kill('SIGSTOP')
      const thaw = async () => process.kill('SIGCONT')
      setTimeout(thaw, 1_000 + random() * 7_000)
      return { did: `SIGSTOP of ${process.pid}`, release: thaw }
    },
  },
  {
    name: 'terminate backends',
    weight: 4,
    async run({ sql, random }) {
      const share = pick(random, [0.3, 0.7, 1])
      const rows = await sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where usename = 'chaos_walhook' and random() < ${share}`,
      )
      return { did: `ended ${rows.length} of walhook's connections` }
    },
  },
  {
    name: 'crash Postgres',
    weight: 1,
    async run({ server, random }) {
      await server.stop(pick(random, ['immediate', 'fast']))
      await sleep(random() * 2_000)
      await server.start()
      return { did: 'stopped and started' }
    },
  },
  {
    name: 'shift the clock',
    weight: 2,
    async run({ fleet, random }) {
      const hours = pick(random, [3, -3, 24, -24, 0.1])
      await fleet.setClock(hours * 3_600_000)
      return { did: `walhook's clock is off by ${hours} h`, undo: () => fleet.setClock(0), isTemporary: true }
    },
  },
]
