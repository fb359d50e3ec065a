import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { clientAddress, isTrusted } from '../domain/access/client-address.ts'
import { type PublicUrl, urlOfHost } from '../domain/access/public-url.ts'
import { frameHeader, shownIn } from '../domain/access/session-cookie.ts'
import type { AddressRange } from '../domain/value/address.ts'
import { networkOf } from '../domain/value/back-off.ts'
import { createLimiter, type Limiter, type Limits } from '../runtime/limiter.ts'
import { end, follow, type InFlight } from './ends.ts'
import { isForOps, isForPrograms, type Passage, type RequestHead, routedPath, type Visit } from './passage.ts'
import { hasBody, readBody } from './read-body.ts'
import {
  busy,
  type Refusal,
  readsDutch,
  refuse,
  starting,
  tooLarge,
  tooSlow,
  twoHosts,
  wrongHost,
} from './refuse.ts'

/** The handlers, once everything has started. */
export type Handler = {
  readonly fetch: (request: Request, env: object) => Response | Promise<Response>
  readonly passageOf: (head: RequestHead) => Passage
}

const turn = { maxPerTurn: 8, waitMs: 5_000 }
const atOnce = { maxWaiting: 0, maxWaitingOfOne: 0, maxPerTurn: 64, waitMs: 0 }
/**
 * Limits of concurrent requests by kind.
 *
 * - `short`: a few short queries on a small pool; more at once would not be faster
 * - `large`: a response takes some 12 MB and blocks the event loop for tens of milliseconds; its permit rests three times as
 *   long
 * - `slow`: holds no database connection while it waits
 */
const limits = {
  short: { max: 8, maxOfOne: 4, maxWaiting: 128, maxWaitingOfOne: 32, ...turn },
  large: { max: 2, maxOfOne: 1, maxWaiting: 32, maxWaitingOfOne: 8, restFactor: 3, ...turn },
  slow: { max: 32, maxOfOne: 8, maxWaiting: 32, maxWaitingOfOne: 8, ...turn },
  /** Separate: requests without a token can't block those with one. */
  stranger: { max: 4, maxOfOne: 2, maxWaiting: 64, maxWaitingOfOne: 16, ...turn },
  /** Separate: log-ins with tokens continue while a provider does not answer. */
  provider: { max: 16, maxOfOne: 4, maxWaiting: 64, maxWaitingOfOne: 16, ...turn },
  /** Separate: liveness is visible when all other permits are taken. */
  ops: { max: 64, maxOfOne: 16, maxWaiting: 512, maxWaitingOfOne: 128, ...turn },
  file: { max: 64, maxOfOne: 16, maxWaiting: 512, maxWaitingOfOne: 256, maxPerTurn: 2, waitMs: 5_000 },
  /** Requests without a database take turns, so that deliveries on the same event loop get theirs. */
  free: { max: 256, maxOfOne: 64, maxWaiting: 2_048, maxWaitingOfOne: 512, ...turn },
  bodies: { max: 64, maxOfOne: 32, ...atOnce },
  bodiesOfHolders: { max: 64, maxOfOne: 16, ...atOnce },
  streams: { max: 64, maxOfOne: 24, ...atOnce },
} satisfies Record<string, Limits>

const ofHolders = new Set<Passage['kind']>(['short', 'large', 'slow'])

const bodyWithinMs = 10_000
/** A slower reader does not get the rest of the response. */
const responseTimeoutMs = 60_000

type GateOptions = {
  readonly urls: readonly PublicUrl[]
  readonly trustedProxies: readonly AddressRange[]
}

/**
 * Every request passes the gate before a handler: its client address, host, body and permit. It bounds memory, connections and
 * time per client. Before `open`, it answers "starting".
 */
export function createGate(options: GateOptions) {
  const { urls } = options
  const limiters = Object.fromEntries(
    Object.entries(limits).map(([name, each]) => [name, createLimiter(each)]),
  ) as Limiters
  const inFlight: InFlight = new WeakMap()
  /** By the request that the handler sees. */
  const visits = new WeakMap<IncomingMessage, Visit>()
  let handler: (Handler & { listener: ReturnType<typeof getRequestListener> }) | null = null

  async function onRequest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const ends = follow(inFlight, incoming, outgoing)
    if (!ends) {
      incoming.socket.destroy()
      return
    }
    outgoing.setHeader('x-content-type-options', 'nosniff')
    const path = pathOf(incoming)
    const forPrograms = isForPrograms(path)
    const isRead = () => incoming.complete || !hasBody(incoming)
    const no = (refusal: Refusal) =>
      refuse(outgoing, refusal, {
        ...{ isForPrograms: forPrograms, isLast: !isRead() },
        isDutch: readsDutch(incoming.headers),
      })

    if (!handler) {
      if (path !== '/livez') return no(starting)
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}')
      return
    }
    const host = hostOf(incoming)
    if ((incoming.headersDistinct.host?.length ?? 0) > 1) return no(twoHosts)
    if (urls.length > 0 && !isForOps(path) && !urlOfHost(host, urls)) return no(wrongHost(host))

    const who = whoOf(incoming, options)
    const network = networkOf(who.address)
    const { isHttps } = who
    const passage = handler.passageOf({ ...headOf(incoming), path, isHttps, address: network })

    const refusal = await takeBody(incoming, passage, limiters, network)
    if (refusal === 'gone') return
    if (refusal) return no(refusal)

    const permit = await limiters[passage.kind].acquire(passage.key)
    if (!permit) return no(busy)
    if (outgoing.closed || incoming.socket.destroyed) return permit()
    const timer = setTimeout(() => incoming.socket.destroy(), responseTimeoutMs)
    ends.push(permit, () => clearTimeout(timer))
    visits.set(incoming, {
      ...who,
      stream() {
        const streaming = limiters.streams.tryAcquire(passage.key)
        if (!streaming) return false
        end(ends)
        ends.push(streaming)
        return true
      },
    })
    await handler.listener(incoming, outgoing)
  }

  return {
    onRequest: (incoming: IncomingMessage, outgoing: ServerResponse) => void onRequest(incoming, outgoing),
    /** From now on `opened` answers requests. */
    open(opened: Handler): void {
      const listener = getRequestListener(
        (request, env) =>
          opened.fetch(request, { ...env, visit: visits.get(env.incoming as IncomingMessage) }),
        // HTTP/1.0 needs no Host, and some health checks send none.
        { hostname: 'walhook' },
      )
      handler = { ...opened, listener }
    },
  }
}

export type Gate = ReturnType<typeof createGate>

type Limiters = Record<keyof typeof limits, Limiter>

function headOf(incoming: IncomingMessage): Omit<RequestHead, 'path' | 'isHttps' | 'address'> {
  const { authorization, cookie } = incoming.headers
  const shown = shownIn({
    secFetchDest: header(incoming, 'sec-fetch-dest'),
    walhookFrame: header(incoming, frameHeader),
    search: urlOf(incoming)?.search ?? '',
  })
  return { method: incoming.method ?? 'GET', authorization, cookie, shown }
}

function whoOf(
  incoming: IncomingMessage,
  { urls, trustedProxies }: GateOptions,
): Pick<Visit, 'address' | 'isHttps'> {
  const { remoteAddress = '' } = incoming.socket
  // A false claim only harms the sender's own log-in; with trusted proxies, only they are believed.
  const isBelieved = trustedProxies.length === 0 || isTrusted(remoteAddress, trustedProxies)
  const url = urlOfHost(hostOf(incoming), urls)
  return {
    address: clientAddress(remoteAddress, header(incoming, 'x-forwarded-for'), trustedProxies),
    isHttps: url ? url.protocol === 'https' : isBelieved && header(incoming, 'x-forwarded-proto') === 'https',
  }
}

/** Reads the body for the handler, if the passage permits one; or says why not. */
async function takeBody(
  incoming: IncomingMessage,
  passage: Passage,
  limiters: Limiters,
  network: string,
): Promise<Refusal | 'gone' | null> {
  if (!hasBody(incoming)) return null
  if (passage.maxBodyBytes === 0) {
    giveBody(incoming, Buffer.alloc(0))
    return null
  }
  const reading = ofHolders.has(passage.kind)
    ? limiters.bodiesOfHolders.tryAcquire(passage.key)
    : limiters.bodies.tryAcquire(network)
  if (!reading) return busy
  const read = await readBody(incoming, { maxBytes: passage.maxBodyBytes, withinMs: bodyWithinMs })
  reading()
  if (read.ok) giveBody(incoming, read.body)
  else if (read.reason === 'gone') return 'gone'
  else return read.reason === 'too slow' ? tooSlow : tooLarge(passage.maxBodyBytes)
  return null
}

/** The adapter takes a body from here, instead of reading it. https://github.com/honojs/node-server */
function giveBody(incoming: IncomingMessage, body: Buffer): void {
  Object.assign(incoming, { rawBody: body })
}

function header({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** A request may contain its whole URL (RFC 9112 section 3.2.2), which takes precedence, as for the handler. */
function urlOf({ url = '/' }: IncomingMessage): URL | null {
  return URL.parse(url.startsWith('/') ? `http://walhook${url}` : url)
}

function pathOf(incoming: IncomingMessage): string {
  const url = urlOf(incoming)
  return url ? routedPath(url) : '/'
}

function hostOf(incoming: IncomingMessage): string | undefined {
  const { url = '/', headers } = incoming
  return url.startsWith('/') ? headers.host : urlOf(incoming)?.host
}
