import { once } from 'node:events'
import { startEmbeddedPostgres } from '../../playground/embedded-postgres.ts'

/** Runs the server on data that a failed run kept, until Ctrl-C: `node test/support/reopen.ts data/test-postgres-…` */
const dataDir = process.argv[2]
if (dataDir === undefined) throw new Error('Name the folder that the failed run printed.')
const server = await startEmbeddedPostgres({ dataDir })
process.stdout.write(`${server.url}\nCtrl-C stops it.\n`)
const keepAlive = setInterval(() => {}, 60_000)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(keepAlive)
await server.stop()
