import type { Dispatcher } from 'undici'
import type { Attempt, Phase, Response } from '../../domain/delivery/attempt.ts'
import { elapsedMs, type Moment } from '../../domain/value/elapsed.ts'
import type { Connection, Connections } from './connections.ts'
import { type Opening, round } from './opening.ts'

/** One request over one connection, in progress. */
type Exchange = {
  readonly connection: Connection
  readonly connections: Connections
  readonly request: ExchangedRequest
  readonly bounds: Bounds
  readonly done: (exchanged: Exchanged) => void
  /** The opening of the connection at the start; a different one later means a new connection. */
  readonly before: Opening | null
  readonly chunks: Buffer[]
  bytes: number
  sentMs: number | null
  interimAnswers: number
  head: Pick<Response, 'status' | 'headers'> | null
  isOver: boolean
  /** Removes its timers and listeners. */
  release: () => void
}

type ExchangedRequest = {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly path: string
}

type Bounds = {
  readonly start: Moment
  readonly deadlineMs: number
  readonly maxResponseBytes: number
  readonly signal: AbortSignal
  readonly mayBegin: () => boolean
}

/** One request over a connection, which is then returned or ended. Never rejects. */
export function exchange(
  connections: Connections,
  connection: Connection,
  request: ExchangedRequest,
  bounds: Bounds,
): Promise<Exchanged> {
  const { promise, resolve } = Promise.withResolvers<Exchanged>()
  const before = connection.opening
  connections.begin(connection)
  const one: Exchange = {
    ...{ connection, connections, request, bounds, before },
    done: resolve,
    chunks: [],
    bytes: 0,
    sentMs: null,
    interimAnswers: 0,
    head: null,
    isOver: false,
    release: () => {},
  }
  holdWithin(one)
  if (one.isOver) return promise
  const { headers, body, path } = request
  try {
    connection.client.dispatch({ method: 'POST', path, headers, body }, handlerOf(one))
  } catch (error) {
    end(one, error as Error, false)
  }
  return promise
}

/** Ends it at the deadline, which a second try shares, and with the signal. */
function holdWithin(one: Exchange): void {
  const { start, deadlineMs, signal } = one.bounds
  const cut = () => end(one, cutOff, false)
  const leftMs = deadlineMs - (performance.now() - start.monotonicMs)
  const timer = setTimeout(() => end(one, overdue, false), leftMs)
  const cuts = cutsOf(signal)
  one.release = () => {
    clearTimeout(timer)
    cuts.delete(cut)
  }
  if (signal.aborted) cut()
  else cuts.add(cut)
}

function handlerOf(one: Exchange): Dispatcher.DispatchHandler {
  const { connection, connections, bounds } = one
  return {
    onRequestStart(controller) {
      const problem = problemOfBeginning(bounds)
      if (problem === null) {
        one.sentMs = performance.now()
        connection.answer.begin()
        return
      }
      controller.abort(problem)
      end(one, problem, false)
    },
    onResponseStart(controller, status) {
      if (status < 100) return end(one, oddStatus(connection.answer.status() ?? String(status)), false)
      if (status < 200) {
        // Interim responses may come, but an endless series must end.
        if (++one.interimAnswers > mostInterimAnswers) end(one, onlyInterim, false)
        return
      }
      const headers = readHeaders(controller.rawHeaders as readonly (string | Buffer)[])
      one.head = { status, headers }
      connections.noteAnswer(connection, connection.opening === one.before || saysItKeeps(headers))
    },
    onResponseData(_controller, chunk) {
      one.chunks.push(chunk)
      one.bytes += chunk.length
      if (one.bytes > bounds.maxResponseBytes) end(one, undefined, false)
    },
    onResponseEnd: () => end(one, undefined, true),
    onResponseError: (_controller, error) => end(one, error, false),
  }
}

/**
 * A suspended process gets connection events before its timers. Another may have sent newer events by then, so nothing may be
 * sent after the deadline, or after a takeover.
 */
function problemOfBeginning({ start, deadlineMs, mayBegin }: Bounds): Error | null {
  const passedMs = elapsedMs(start, { monotonicMs: performance.now(), wallMs: Date.now() })
  if (passedMs === null) return lapsed
  if (passedMs > deadlineMs) return overdue
  return mayBegin() ? null : lapsed
}

function end(one: Exchange, error: Error | undefined, isReusable: boolean): void {
  if (one.isOver) return
  one.isOver = true
  one.release()
  const { connection, connections, request, before, head, sentMs } = one
  const { opening } = connection
  // A kept connection may have been reopened before the request was sent.
  const isNew = opening !== before
  const phases = phasesOf(one, isNew)
  if (!isNew && isLostConnection(error)) connections.noteClosed(connection)
  if (isReusable && opening?.isFlushed() && isSurelyRead(request.body, head!.status))
    connections.giveBack(connection)
  else connections.drop(connection)
  one.done({
    phases,
    remoteAddress: opening?.address() ?? null,
    response: head && { ...head, ...bodyOf(one.chunks, one.bytes, one.bounds.maxResponseBytes) },
    isKept: !isNew,
    isSent: sentMs !== null,
    error: told(one, error),
  })
}

function phasesOf({ connection, sentMs }: Exchange, isNew: boolean): Partial<Record<Phase, number>> {
  const phases = isNew && connection.opening ? connection.opening.phases() : {}
  const nowMs = performance.now()
  const firstByteMs = connection.answer.firstByteMs()
  if (sentMs !== null) phases.first_byte = round((firstByteMs ?? nowMs) - sentMs)
  if (firstByteMs !== null) phases.body = round(nowMs - firstByteMs)
  return phases
}

/** The facts that undici omits about a refused response. */
function told({ connection, before, head }: Exchange, error: Error | undefined): Error | undefined {
  if (error && isUnasked(error)) return unasked(connection.answer.status() ?? '')
  const isBare = connection.opening !== before && connection.opening?.isBare() === true
  return isBare && head === null && isLostConnection(error) ? closedBare : error
}

/**
 * Requests to end with a signal. Adding or removing a listener on the signal itself searches all of them, and hundreds of
 * requests share one.
 */
const underWay = new WeakMap<AbortSignal, Set<() => void>>()

function cutsOf(signal: AbortSignal): Set<() => void> {
  let cuts = underWay.get(signal)
  if (!cuts) {
    cuts = new Set()
    underWay.set(signal, cuts)
    signal.addEventListener('abort', () => {
      for (const cut of underWay.get(signal) ?? []) cut()
    })
  }
  return cuts
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
const mostInterimAnswers = 20
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
const mostSurelyRead = 32_768
/** A refusing receiver is more likely to have read the head only. */
const mostSurelyReadIfRefused = 8_192

function isSurelyRead(body: string, status: number): boolean {
  const isAccepted = status >= 200 && status <= 299
  return Buffer.byteLength(body) <= (isAccepted ? mostSurelyRead : mostSurelyReadIfRefused)
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

/** Names in lower case; repeated fields are joined by commas, cookies hidden. */
function readHeaders(raw: readonly (string | Buffer)[]): Record<string, string> {
  // Without a prototype: a receiver may name a header `constructor` or `__proto__`.
  const headers: Record<string, string> = Object.create(null)
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textOf(raw[i]!).toLowerCase()
    const value = name === 'set-cookie' ? '[redacted]' : printable(textOf(raw[i + 1]!))
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}

function textOf(raw: string | Buffer): string {
  return typeof raw === 'string' ? raw : raw.toString('latin1')
}

function bodyOf(
  chunks: readonly Buffer[],
  bytes: number,
  maxBytes: number,
): Pick<Response, 'body' | 'truncated'> {
  if (bytes === 0) return { body: '', truncated: false }
  const read = Buffer.concat(chunks).subarray(0, maxBytes)
  return { body: printable(read.toString('utf8')), truncated: bytes > maxBytes }
}

/** Postgres texts contain no NUL. */
function printable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\u{fffd}') : text
}
