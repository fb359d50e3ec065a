import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { nonceBytes, parseSealKey, seal } from '../../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../../src/domain/webhook/signature.ts'
import { unboundPurpose } from '../../../src/domain/webhook/webhook-secrets.ts'
import { connect } from '../../support/connect.ts'
import { until } from '../../support/wait.ts'
import { program } from '../published.ts'
import { type Contender, endChild, type Place, type Running } from './contender.ts'

export const adminToken = 'benchmark-admin-token'
const sealKey = Buffer.alloc(32, 7).toString('base64')

/** The envelope of a signing secret that opens for every webhook. */
export const benchSecret = () =>
  seal(parseSealKey(sealKey)!, unboundPurpose, formatSecret(randomBytes(32)), randomBytes(nonceBytes))

/** walhook as `serve` runs by default, its log thrown away; one webhook for new users. */
export const walhook: Contender = {
  name: 'walhook',
  setup: 'the defaults of `serve`, one webhook that wants user.new',
  async prepare() {},
  start: place => startWalhook(place, [place.receiverUrl]),
}

/** The same with capture in a process of its own, so that the two share the work of one thread. */
export const walhookInTwo: Contender = {
  name: 'walhook, capture in a process of its own',
  setup: 'as above, with WALHOOK_ROLES=delivery,api and WALHOOK_ROLES=capture,api',
  async prepare() {},
  async start(place) {
    await using started = new AsyncDisposableStack()
    const capture = started.use(await startWalhook(place, [], { WALHOOK_ROLES: 'capture,api' }))
    const delivery = started.use(
      await startWalhook(place, [place.receiverUrl], { WALHOOK_ROLES: 'delivery,api' }),
    )
    const all = started.move()
    return {
      pid: delivery.pid,
      morePids: [capture.pid],
      [Symbol.asyncDispose]: () => all.disposeAsync(),
    }
  },
}

/** What every command of a place gets. */
export const settingsOf = (place: Pick<Place, 'url' | 'name'>) => ({
  PATH: process.env.PATH,
  DATABASE_URL: place.url,
  WALHOOK_SLOT: place.name,
  WALHOOK_SECRET_KEY: sealKey,
  WALHOOK_ADMIN_TOKEN: adminToken,
  WALHOOK_ALLOW_TARGETS: '127.0.0.1',
})

/** Starts `serve` and makes a webhook for each URL. */
export async function startWalhook(
  place: Place,
  urls: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Running & { readonly url: string }> {
  // Below the ports that Linux gives to connections.
  const port = 20_000 + Math.floor(Math.random() * 12_000)
  const child = spawn(process.execPath, [program, 'serve'], {
    cwd: '/',
    env: { ...settingsOf(place), PORT: String(port), ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  try {
    await until(async () => (await fetch(`${url}/readyz`)).ok, { what: 'walhook to be ready' })
    for (const [i, target] of urls.entries()) await createWebhook(url, { name: `bench ${i}`, url: target })
  } catch (error) {
    await endChild(child)
    throw error
  }
  return { pid: child.pid!, url, [Symbol.asyncDispose]: () => endChild(child) }
}

/** A webhook for new users, made as an admin makes it. */
export async function createWebhook(
  walhookUrl: string,
  fields: { name: string; url: string; triggers?: readonly string[] },
): Promise<number> {
  const answer = await fetch(`${walhookUrl}/api/webhooks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ triggers: ['user.new'], ...fields }),
  })
  // Thousands of webhooks are more calls than a token may make in a minute.
  if (answer.status === 429) {
    await sleep(1_000 * Number(answer.headers.get('retry-after')))
    return createWebhook(walhookUrl, fields)
  }
  if (!answer.ok) throw new Error(`no webhook was made: ${await answer.text()}`)
  return ((await answer.json()) as { id: number }).id
}

/** Waits until nothing is left to deliver: all places are at the end of the log, and nothing is set aside. */
export async function untilQueueIsEmpty(url: string, timeoutMs: number): Promise<void> {
  await using psql = await connect(url)
  const isEmpty = async () => {
    const { rows } = await psql.query(
      `select not exists (select from walhook.deliveries) and not exists (
         select from (select settled_up_to from walhook.shares union all select settled_up_to from walhook.streams) p
         where p.settled_up_to < (select max(last_event_id) from walhook.positions)
       ) as is_empty`,
    )
    return rows[0].is_empty
  }
  await until(isEmpty, { what: 'the queue to be empty', timeoutMs, intervalMs: 50 })
}
