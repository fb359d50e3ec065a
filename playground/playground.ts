import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Trigger } from '../src/domain/event/trigger.ts'
import type { EntityMapping } from '../src/domain/mapping/mapping.ts'
import { startReceiver } from '../src/receiver/receiver.ts'
import { describeError } from '../src/runtime/log.ts'
import { openResources } from '../src/runtime/resources.ts'
import { within } from '../src/runtime/within.ts'
import { createActivity } from './activity.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { createSampleTables, sampleMapping } from './sample-app.ts'

/** The configuration of walhook in the playground. */
export type PlaygroundSettings = {
  readonly databaseUrl: string
  readonly mapping: readonly EntityMapping[]
  readonly secretKey: string
  readonly adminToken: string
  /** The user account of the token. */
  readonly adminUserId: string
}

/** walhook itself: the caller opens it, since this folder does not import it. */
export type PlaygroundApp = {
  readonly url: string
  /** Creates the webhook of the receiver, or updates its URL; returns its secret. */
  connect(webhook: { name: string; url: string; triggers: readonly Trigger[] }): Promise<string>
  run(signal: AbortSignal): Promise<void>
}

const receiverPort = 9090
/** Longer than any successful stop. */
const usualStopWithinMs = 15_000

/**
 * Runs a demo without any setup: Postgres under `dataDir`, a sample application that changes something every few seconds, and
 * a receiver that verifies and shows the requests. `printLine` prints a line. Runs until `signal` is aborted; its data stays. If
 * walhook has not stopped within `stopWithinMs`, its Postgres is ended.
 */
export async function runPlayground(options: {
  dataDir: string
  open: (settings: PlaygroundSettings) => Promise<PlaygroundApp>
  printLine: (line: string) => void
  signal: AbortSignal
  stopWithinMs?: number
}): Promise<void> {
  const { dataDir, printLine, signal, stopWithinMs = usualStopWithinMs } = options
  await using resources = openResources()

  printLine('Starting a Postgres of our own …')
  await mkdir(dataDir, { recursive: true })
  const keys = await readKeys(join(dataDir, 'keys.json'))
  let hasStopped = true
  const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') })
  resources.defer(() => postgres.stop(hasStopped ? 'fast' : 'immediate'))
  if (signal.aborted) return
  await createSampleTables(postgres.url)
  const app = await options.open({
    ...keys,
    databaseUrl: postgres.url,
    mapping: sampleMapping,
    adminUserId: '1',
  })

  // From here on app.run closes the app.
  const stopped = new AbortController()
  const running = app.run(AbortSignal.any([signal, stopped.signal]))
  resources.defer(async () => {
    stopped.abort()
    await within(stopWithinMs, running).catch(error => {
      hasStopped = false
      printLine(`walhook did not stop in order: ${describeError(error)}`)
    })
  })

  let secret = ''
  const receiver = await startReceiverOnFreePort({
    secrets: () => (secret === '' ? [] : [secret]),
    onReceived: one =>
      printLine(`  ←  ${one.entityType} ${one.entityId} ${one.actionType}, signature ${one.signature.state}`),
  })
  resources.defer(() => receiver.close())
  secret = await app.connect({
    name: 'The receiver of this playground',
    url: `${receiver.url}/webhooks`,
    triggers: sampleMapping.flatMap(({ entityType }): Trigger[] => [
      `${entityType}.new`,
      `${entityType}.update`,
      `${entityType}.delete`,
    ]),
  })

  printLine(`
walhook is running. A sample application changes its users and companies in PostgreSQL ${postgres.version};
each committed change arrives at a receiver as a signed webhook.

  See what arrives   ${receiver.url}
  Pages for admins   ${app.url}
  API                ${app.url}/api/webhooks
  Token              ${keys.adminToken}
  Database           ${postgres.url}

  Send a test        curl -X POST -H 'Authorization: Bearer ${keys.adminToken}' ${app.url}/api/webhooks/1/test
  Change something   psql '${postgres.url}' -c "update users set company_role = 'Speaker' where id = 1"

Ctrl-C stops everything; the data stays in ${dataDir}.
`)

  const activity = createActivity(postgres.url, {
    random: Math.random,
    onDone: sentence => printLine(`  →  ${sentence}`),
  })
  await Promise.race([Promise.all([running, activity.run(signal)]), aborted(signal)])
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  if (signal.aborted) resolve()
  return promise
}

/** The same port each time, so that an open page reconnects; another one if it is taken. */
async function startReceiverOnFreePort(options: Omit<Parameters<typeof startReceiver>[0], 'port'>) {
  try {
    return await startReceiver({ ...options, port: receiverPort })
  } catch {
    return await startReceiver({ ...options, port: 0 })
  }
}

type Keys = Pick<PlaygroundSettings, 'secretKey' | 'adminToken'>

/** Created once and kept: only this key opens what it sealed. */
async function readKeys(file: string): Promise<Keys> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const keys: Keys = {
    secretKey: randomBytes(32).toString('base64'),
    adminToken: randomBytes(16).toString('hex'),
  }
  await writeFile(file, JSON.stringify(keys), { mode: 0o600 })
  return keys
}
