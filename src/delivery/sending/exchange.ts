import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Attempt, Phase, Response } from '../../domain/delivery/attempt.ts'
import { elapsedMs, type Moment } from '../../domain/value/elapsed.ts'
import type { Connection, Connections } from './connections.ts'
import { type Opening, round } from './opening.ts'

/** A request, and what bounds it. */
type Asked = {
  readonly request: { readonly headers: Readonly<Record<string, string>>; readonly body: string }
  readonly path: string
  readonly start: Moment
  readonly deadlineMs: number
  readonly maxResponseBytes: number
  readonly signal: AbortSignal
  readonly mayBegin: () => boolean
}

/**
 * One request over one connection, in progress, and what undici reports about it. A class: a hundred requests begin in a
 * millisecond, and a function of each would cost more than the request's own memory.
 */
class Exchange implements Dispatcher.DispatchHandler {
  readonly connection: Connection
  readonly connections: Connections
  readonly asked: Asked
  /** The body as it is written. */
  readonly bytes: Buffer
  readonly done: (exchanged: Exchanged) => void
  /** The opening of the connection at the start; a different one later means a new connection. */
  readonly before: Opening | null
  chunks: Buffer[] | null = null
  read = 0
  sentMs: number | null = null
  interimResponses = 0
  head: Pick<Response, 'status' | 'headers'> | null = null
  isOver = false

  constructor(
    connections: Connections,
    connection: Connection,
    asked: Asked,
    done: (exchanged: Exchanged) => void,
  ) {
    this.connection = connection
    this.connections = connections
    this.asked = asked
    this.bytes = Buffer.from(asked.request.body)
    this.done = done
    this.before = connection.opening
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const problem = problemOfBeginning(this.asked)
    if (problem === null) {
      this.sentMs = performance.now()
      this.connection.responseHead.begin()
      return
    }
    controller.abort(problem)
    end(this, problem, false)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    parsed: IncomingHttpHeaders,
  ): void {
    const { connection } = this
    if (status < 100) {
      end(this, oddStatus(connection.responseHead.status() ?? String(status)), false)
      return
    }
    if (status < 200) {
      // Interim responses may come, but an endless series must end.
      if (++this.interimResponses > maxInterimResponses) end(this, onlyInterim, false)
      return
    }
    const headers = readHeaders(parsed)
    this.head = { status, headers }
    if (connection.opening === this.before || saysItKeeps(headers)) this.connections.noteKept(connection)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks ??= []
    this.chunks.push(chunk)
    this.read += chunk.length
    if (this.read > this.asked.maxResponseBytes) end(this, undefined, false)
  }

  onResponseEnd(): void {
    end(this, undefined, true)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    end(this, error, false)
  }
}

/** One request over a connection, which is then returned or ended. Never rejects. */
export function exchange(connections: Connections, connection: Connection, asked: Asked): Promise<Exchanged> {
  return new Promise(resolve => {
    const one = new Exchange(connections, connection, asked, resolve)
    connections.begin(connection)
    hold(one)
    if (one.isOver) return
    const { path, request } = asked
    try {
      connection.client.dispatch({ method: 'POST', path, headers: request.headers, body: one.bytes }, one)
    } catch (error) {
      end(one, error as Error, false)
    }
  })
}

/**
 * The requests of a signal, and when the first of them must end. They share one timer and one listener: adding or removing a listener on
 * the signal searches all of them.
 */
type InFlight = { readonly all: Set<Exchange>; timer: NodeJS.Timeout | null; dueMs: number }
const inFlight = new WeakMap<AbortSignal, InFlight>()

const deadlineOf = ({ asked: { start, deadlineMs } }: Exchange) => start.monotonicMs + deadlineMs

/** Ends it at the deadline, which a second try shares, and with the signal. */
function hold(one: Exchange): void {
  const { signal } = one.asked
  let those = inFlight.get(signal)
  if (!those) {
    const begun: InFlight = { all: new Set(), timer: null, dueMs: 0 }
    inFlight.set(signal, begun)
    signal.addEventListener('abort', () => {
      for (const each of begun.all) end(each, cutOff, false)
    })
    those = begun
  }
  those.all.add(one)
  if (signal.aborted) end(one, cutOff, false)
  else if (those.timer === null || deadlineOf(one) < those.dueMs) watch(those, deadlineOf(one))
}

/** Ends at `dueMs` what is overdue, and waits for the next deadline. The sockets keep the process alive meanwhile. */
function watch(those: InFlight, dueMs: number): void {
  clearTimeout(those.timer ?? undefined)
  those.dueMs = dueMs
  // A deadline may pass during this loop: Node.js warns of a negative time on stderr.
  const waitMs = Math.max(1, dueMs - performance.now())
  those.timer = setTimeout(() => {
    those.timer = null
    const nowMs = performance.now()
    for (const each of those.all) if (deadlineOf(each) <= nowMs) end(each, overdue, false)
    if (those.all.size > 0) watch(those, Math.min(...[...those.all].map(deadlineOf)))
  }, waitMs).unref()
}

/**
 * A suspended process gets connection events before its timers. Another may have sent newer events by then, so nothing may be
 * sent after the deadline, or after a takeover.
 */
function problemOfBeginning({ start, deadlineMs, mayBegin }: Asked): Error | null {
  const passedMs = elapsedMs(start, { monotonicMs: performance.now(), wallMs: Date.now() })
  if (passedMs === null) return lapsed
  if (passedMs > deadlineMs) return overdue
  return mayBegin() ? null : lapsed
}

function end(one: Exchange, error: Error | undefined, isReusable: boolean): void {
  if (one.isOver) return
  one.isOver = true
  const { connection, connections, asked, bytes, before, head, sentMs } = one
  inFlight.get(asked.signal)?.all.delete(one)
  const { opening } = connection
  // A kept connection may have been reopened before the request was sent.
  const isNew = opening !== before
  const phases = phasesOf(one, isNew)
  if (!isNew && isLostConnection(error)) connections.noteClosed(connection)
  if (isReusable && opening?.isFlushed() && isSurelyRead(bytes.length, head!.status))
    connections.giveBack(connection)
  else connections.drop(connection)
  one.done({
    phases,
    remoteAddress: opening?.address() ?? null,
    response: head && responseOf(head, one),
    isKept: !isNew,
    isSent: sentMs !== null,
    error: clearerError(one, error),
  })
}

function phasesOf({ connection, sentMs }: Exchange, isNew: boolean): Partial<Record<Phase, number>> {
  const phases = isNew && connection.opening ? connection.opening.phases() : {}
  const nowMs = performance.now()
  const firstByteMs = connection.responseHead.firstByteMs()
  if (sentMs !== null) phases.first_byte = round((firstByteMs ?? nowMs) - sentMs)
  if (firstByteMs !== null) phases.body = round(nowMs - firstByteMs)
  return phases
}

/** The facts that undici omits about a refused response. */
function clearerError({ connection, before, head }: Exchange, error: Error | undefined): Error | undefined {
  if (error && isUnasked(error)) return unasked(connection.responseHead.status() ?? '')
  const isBare = connection.opening !== before && connection.opening?.isBare() === true
  return isBare && head === null && isLostConnection(error) ? closedBare : error
}

/** The result of one request. `isKept`: over a reused connection; `isSent`: a byte of the request may have been written. */
export type Exchanged = {
  readonly phases: Attempt['phases']
  readonly remoteAddress: Attempt['remoteAddress']
  readonly response: Attempt['response']
  readonly isKept: boolean
  readonly isSent: boolean
  readonly error?: Error | undefined
}

export const cutOff = new Error('the request was cut off')
export const overdue = new Error('the deadline has passed')
const closedBare = Object.assign(new Error('closed after a handshake without a client certificate'), {
  code: 'CLOSED_BARE',
})
export const lapsed = new Error('another process may have taken over')
const maxInterimResponses = 20
const onlyInterim = Object.assign(new Error('it sends interim answers (1xx) without end'), {
  code: 'HPE_INTERIM',
})

const oddStatus = (status: string) =>
  Object.assign(new Error(`it answers with the status ${status}, and HTTP has 100 to 599`), {
    code: 'HPE_STATUS',
  })
const unasked = (status: string) =>
  Object.assign(new Error(`an answer ${status} that was not asked for`), { code: `HPE_UNASKED_${status}` })

/** A receiver may respond before reading all of the request: this much certainly arrived with the head. */
const surelyReadBytes = 32_768
/** A refusing receiver is more likely to have read the head only. */
const surelyReadBytesIfRefused = 8_192

function isSurelyRead(bytes: number, status: number): boolean {
  const isAccepted = status >= 200 && status <= 299
  return bytes <= (isAccepted ? surelyReadBytes : surelyReadBytesIfRefused)
}

function saysItKeeps(headers: Readonly<Record<string, string>>): boolean {
  return /\bkeep-alive\b/i.test(headers.connection ?? '') || 'keep-alive' in headers
}

const lostConnection = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_INFO', 'UND_ERR_DESTROYED'])

export function isLostConnection(error: Error | undefined): boolean {
  return lostConnection.has((error as NodeJS.ErrnoException | undefined)?.code ?? '') && !isUnasked(error!)
}

/** 100 and 101 are only valid after `expect` or `upgrade`; undici rejects them. */
function isUnasked({ message }: Error): boolean {
  return message === 'bad response' || message === 'bad upgrade'
}

/** A receiver may name a header `constructor` or `__proto__`. */
function readHeaders(parsed: IncomingHttpHeaders): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of Object.keys(parsed)) {
    const value = shownValue(name, parsed[name] ?? '')
    if (name !== '__proto__') headers[name] = value
    else Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true })
  }
  return headers
}

/** Repeated fields are joined by commas, cookies hidden. */
function shownValue(name: string, value: string | readonly string[]): string {
  if (name === 'set-cookie') return [value].flat().fill('[redacted]').join(', ')
  return printable(typeof value === 'string' ? value : value.join(', '))
}

const nothingRead = { body: '', truncated: false }

function responseOf({ status, headers }: NonNullable<Exchange['head']>, one: Exchange): Response {
  const { body, truncated } = bodyOf(one.chunks, one.read, one.asked.maxResponseBytes)
  return { status, headers, body, truncated }
}

function bodyOf(
  chunks: readonly Buffer[] | null,
  bytes: number,
  maxBytes: number,
): Pick<Response, 'body' | 'truncated'> {
  if (chunks === null) return nothingRead
  const read = Buffer.concat(chunks).subarray(0, maxBytes)
  return { body: printable(read.toString('utf8')), truncated: bytes > maxBytes }
}

/** Postgres texts contain no NUL. */
function printable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\u{fffd}') : text
}
