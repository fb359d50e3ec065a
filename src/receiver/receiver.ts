import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { parseSecret } from '../domain/webhook/signature.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Received } from './received.ts'
import { renderItem, renderPage } from './receiver-page.ts'
import { verify } from './verify.ts'

export type Receiver = {
  readonly url: string
  readonly port: number
  /** The last 200, oldest first. */
  readonly received: readonly Received[]
  close(): Promise<void>
}

export type ReceiverOptions = {
  /** The address to listen on: 127.0.0.1 by default. */
  readonly host?: string
  /** 0: any free port. */
  readonly port: number
  /** The accepted `whsec_…` secrets; without any, signatures are not checked. */
  readonly secrets: () => readonly string[]
  /** The status of every response, even to a wrong signature; 204 by default. */
  readonly status?: number
  /** The delay of the response. */
  readonly delayMs?: number
  readonly onReceived?: (received: Received) => void
}

const keptRequests = 200
const keptIds = 10_000
const maxBodyBytes = 1024 * 1024
const maxWaitingBytes = 8 * 1024 * 1024
const closeTimeoutMs = 1_000

/**
 * Starts a receiver for developers: accepts a POST to any path, checks its signature, keeps it, and shows it on the page at
 * `/`. The response is the same whatever the signature.
 *
 * @throws Error with one message if it can't listen; RangeError for a status outside 200–599 or an invalid secret
 */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { host = '127.0.0.1', status = 204, delayMs = 0, onReceived = () => {} } = options
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new RangeError(`status is ${status}: a receiver answers with one from 200 to 599`)
  options.secrets().forEach(parseSecret)
  const closing = new AbortController()
  const box: Box = {
    ...{ secrets: options.secrets, status, delayMs, onReceived, closing: closing.signal },
    run: randomBytes(8).toString('hex'),
    received: [],
    arrivals: new Map(),
    viewers: new Set(),
  }
  const { received, viewers, run } = box
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (request.method === 'POST') {
      take(box, request, response).catch(error => {
        if (!response.headersSent) respond(response, 500, `${error.message}\n`)
      })
    } else if (!isRead) {
      response.setHeader('allow', 'GET, HEAD, POST')
      respond(response, 405, 'Webhooks are sent with POST.\n')
    } else if (path === '/events' && request.method === 'GET') watch(box, request, response)
    else if (path === '/') sendPage(response, renderPage({ received, run, nonce: newNonce() }))
    else respond(response, 404, 'Send webhooks with POST to any path; look at them at /.\n')
  })
  await listen(server, host, options.port)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${visibleHost(host)}:${port}`,
    port,
    received,
    async close() {
      closing.abort()
      for (const viewer of viewers) viewer.end()
      const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMs)
      await new Promise(resolve => server.close(resolve))
      clearTimeout(timer)
    },
  }
}

/** The received requests, and the pages that watch them. */
type Box = Required<Pick<ReceiverOptions, 'secrets' | 'status' | 'delayMs' | 'onReceived'>> & {
  /** Identifies this run: a page of another run reloads. */
  readonly run: string
  readonly received: Received[]
  readonly arrivals: Map<string, number>
  readonly viewers: Set<ServerResponse>
  readonly closing: AbortSignal
}

async function take(box: Box, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const bytes = await readBody(request)
  if (bytes === null)
    return respond(response, 413, `A webhook may have at most ${maxBodyBytes} bytes here.\n`)
  const one = receive(box, request, bytes.toString('utf8'))
  box.received.push(one)
  if (box.received.length > keptRequests) box.received.shift()
  for (const viewer of box.viewers) show(viewer, one)
  box.onReceived(one)
  if (box.delayMs > 0) await sleep(box.delayMs, box.closing)
  if (box.closing.aborted) response.setHeader('connection', 'close')
  respond(response, box.status, '')
}

/** The facts of a webhook request, with its signature. */
function receive(box: Box, request: IncomingMessage, body: string): Received {
  const headers = Object.fromEntries(
    Object.entries(request.headersDistinct).map(([name, values]) => [name, values!.join(', ')]),
  )
  const webhookId = headers['webhook-id'] ?? null
  const signed = {
    id: headers['webhook-id'],
    timestamp: headers['webhook-timestamp'],
    signature: headers['webhook-signature'],
    body,
  }
  return {
    number: (box.received.at(-1)?.number ?? 0) + 1,
    receivedAt: new Date(),
    path: request.url ?? '/',
    headers,
    body,
    signature: verify(signed, box.secrets(), Date.now() / 1000),
    webhookId,
    earlierArrivals: webhookId === null ? 0 : countArrival(box.arrivals, webhookId),
    ...readEntity(body),
    answeredStatus: box.status,
  }
}

/** Sends a page the requests that it lacks, and then new ones. */
function watch(box: Box, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.write(`event: run\ndata: ${box.run}\n\n`)
  const asked = new URL(request.url ?? '/', 'http://localhost').searchParams.get('after')
  const after = Number(request.headers['last-event-id'] ?? asked ?? 0)
  for (const one of box.received) if (one.number > after) show(response, one)
  box.viewers.add(response)
  response.on('close', () => box.viewers.delete(response))
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(whyNotListening(error, host, port))),
    )
    server.listen(port, host, resolve)
  })
}

function whyNotListening(error: NodeJS.ErrnoException, host: string, port: number): string {
  if (error.code === 'EADDRINUSE')
    return `Port ${port} on ${host} is taken by another program. Stop that, or choose another port.`
  if (error.code === 'EACCES')
    return `Port ${port} on ${host} is not open to this user. Choose a port from 1024 up.`
  return `The receiver cannot listen on port ${port} of ${host} (${error.message}). Choose another host or port.`
}

/** A host for a browser on this machine. */
function visibleHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return isIPv6(host) ? `[${host}]` : host
}

/** The whole body, or null if it is too long: then the rest is read and dropped. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes <= maxBodyBytes) chunks.push(chunk)
  }
  return bytes <= maxBodyBytes ? Buffer.concat(chunks) : null
}

/** Counts an id and returns how often it came before; forgets the oldest ids. */
function countArrival(arrivals: Map<string, number>, id: string): number {
  const before = arrivals.get(id) ?? 0
  arrivals.delete(id)
  arrivals.set(id, before + 1)
  if (arrivals.size > keptIds) arrivals.delete(arrivals.keys().next().value!)
  return before
}

function readEntity(body: string): Pick<Received, 'entityType' | 'entityId' | 'actionType'> {
  let parsed: unknown
  try {
    parsed = JSON.parse(body, numberAsText)
  } catch {}
  const fields = (parsed ?? {}) as Record<string, unknown>
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return {
    entityType: text(fields.entity_type),
    entityId: text(fields.entity_id),
    actionType: text(fields.action_type),
  }
}

/** A number as text: an id may exceed JavaScript's integers. */
function numberAsText(_key: string, value: unknown, context?: { source: string }): unknown {
  return typeof value === 'number' ? context?.source : value
}

/** Sends a request to a watching page. A page that stopped reading is disconnected; it reconnects and catches up. */
function show(viewer: ServerResponse, one: Received): void {
  if (viewer.writableLength > maxWaitingBytes) viewer.destroy()
  else viewer.write(`id: ${one.number}\ndata: ${JSON.stringify(renderItem(one))}\n\n`)
}

function respond(response: ServerResponse, status: number, text: string): void {
  if (text !== '') response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.writeHead(status).end(text)
}

function newNonce(): string {
  return randomBytes(16).toString('base64')
}

function sendPage(response: ServerResponse, page: { html: string; contentSecurityPolicy: string }): void {
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': page.contentSecurityPolicy,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  })
  response.end(page.html)
}
