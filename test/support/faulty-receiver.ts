import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a receiver does with one request. */
export type Reaction = {
  /** 204 where nothing is said. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** How long it works before it does anything, in ms. */
  readonly delayMs?: number
  /** Instead of an answer: `hang` never answers, `close` ends the connection, `half` does so in mid-answer. */
  readonly fault?: 'hang' | 'close' | 'half'
}

/** A request in the account: what it was, when it came, and what it got. */
export type Entry = {
  /** The path of the webhook's URL, so that one receiver serves several webhooks. */
  readonly path: string
  readonly messageId: string
  /** As `/crm user 7`. */
  readonly lane: string
  // biome-ignore lint/suspicious/noExplicitAny: of whatever form the test's rows are
  readonly body: any
  /** The address that it came from. */
  readonly from: string
  readonly arrivedAtMs: number
  readonly reaction: Reaction
  /** When the whole answer was handed to the network; null: it was not, or not yet. */
  answeredAtMs: number | null
}

export type FaultyReceiver = AsyncDisposable & {
  readonly url: (path: string) => string
  /** Every request, in the order of arrival. */
  readonly account: readonly Entry[]
  /** Requests that are being worked on, and the most there ever were at once, by path. */
  readonly open: (path: string) => number
  readonly maxOpen: (path: string) => number
}

/**
 * A receiver that does as it is told with each request, and keeps an exact account. `react` gets the entry so far
 * and how often this message came before.
 */
export async function startFaultyReceiver(
  react: (
    entry: Omit<Entry, 'reaction' | 'answeredAtMs' | 'arrivedAtMs'>,
    earlier: number,
  ) => Reaction = () => ({}),
  host = '127.0.0.1',
): Promise<FaultyReceiver> {
  const account: Entry[] = []
  const seen = new Map<string, number>()
  const open = new Map<string, number>()
  const maxOpen = new Map<string, number>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return // the sender was killed in the middle: nothing has arrived
    }
    const path = request.url!
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    const messageId = String(request.headers['webhook-id'])
    const from = request.socket.remoteAddress ?? ''
    const fresh = { path, messageId, lane: `${path} ${body.entity_type} ${body.entity_id}`, body, from }
    const earlier = seen.get(messageId) ?? 0
    seen.set(messageId, earlier + 1)
    const entry: Entry = {
      ...fresh,
      reaction: react(fresh, earlier),
      arrivedAtMs: performance.now(),
      answeredAtMs: null,
    }
    account.push(entry)
    const now = (open.get(path) ?? 0) + 1
    open.set(path, now)
    maxOpen.set(path, Math.max(maxOpen.get(path) ?? 0, now))
    response.on('close', () => open.set(path, open.get(path)! - 1))
    const { delayMs } = entry.reaction
    if (delayMs) await new Promise(resolve => setTimeout(resolve, delayMs))
    answer(response, entry)
  })
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: path => `http://${host}:${port}${path}`,
    account,
    open: path => open.get(path) ?? 0,
    maxOpen: path => maxOpen.get(path) ?? 0,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function answer(response: ServerResponse, entry: Entry): void {
  const { status = 204, headers = {}, fault } = entry.reaction
  if (fault === 'hang') return
  if (fault === 'close') return void response.destroy()
  if (fault === 'half') {
    response.writeHead(status, { 'content-length': 1_000 })
    response.write('half', () => response.destroy())
    return
  }
  if (response.destroyed) return
  response.on('finish', () => {
    entry.answeredAtMs = performance.now()
  })
  response.writeHead(status, headers).end()
}

const isAccepted = ({ reaction: { status = 204, fault }, answeredAtMs }: Entry) =>
  answeredAtMs !== null && fault === undefined && status >= 200 && status <= 299

/**
 * Compares an account with what is expected: of each lane every version from 1 to `expected`, each accepted,
 * and none that is older than one that was accepted before. Returns every breach in a sentence, and the repetitions:
 * entries whose message had been accepted already, each with the moment of that acceptance.
 */
export function checkAccount(
  account: readonly Entry[],
  expected: ReadonlyMap<string, number>,
  versionOf: (body: Entry['body']) => number,
): { breaches: string[]; repetitions: { entry: Entry; acceptedAtMs: number }[] } {
  const breaches: string[] = []
  const repetitions: { entry: Entry; acceptedAtMs: number }[] = []
  const lanes = new Map<string, { accepted: Map<number, number>; newest: number }>()
  for (const entry of account) {
    const version = versionOf(entry.body)
    const lane = lanes.get(entry.lane) ?? { accepted: new Map(), newest: 0 }
    lanes.set(entry.lane, lane)
    // What was accepted when this one arrived: answers that were still under way count for neither side.
    if (version < lane.newest)
      breaches.push(`${entry.lane}: ${version} came after ${lane.newest} was accepted`)
    if (version > lane.newest + 1)
      breaches.push(`${entry.lane}: ${version} came before ${lane.newest + 1} was accepted`)
    const acceptedAtMs = lane.accepted.get(version)
    if (acceptedAtMs !== undefined) repetitions.push({ entry, acceptedAtMs })
    else if (isAccepted(entry)) {
      lane.accepted.set(version, entry.answeredAtMs!)
      lane.newest = version
    }
  }
  for (const [lane, versions] of expected) {
    const accepted = lanes.get(lane)?.accepted
    for (let version = 1; version <= versions; version++)
      if (!accepted?.has(version)) breaches.push(`${lane}: ${version} was never accepted`)
    if (accepted && Math.max(...accepted.keys()) > versions)
      breaches.push(`${lane}: more was accepted than ${versions} versions`)
  }
  for (const lane of lanes.keys()) if (!expected.has(lane)) breaches.push(`${lane}: was not expected`)
  return { breaches, repetitions }
}
