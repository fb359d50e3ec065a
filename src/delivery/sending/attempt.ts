import type { Dispatcher } from 'undici'
import { errors } from 'undici'
import type { Attempt, Phase, Response } from '../../domain/delivery/attempt.ts'
import {
  isUnknownName,
  judgeDeadline,
  judgeError,
  judgeStatus,
  type Verdict,
} from '../../domain/delivery/outcome.ts'
import { elapsedMs, type Moment } from '../../domain/value/elapsed.ts'
import type { ClientIdentity } from '../../domain/webhook/client-certificate.ts'
import { type Connection, openConnections } from './connections.ts'
import type { Guard } from './guard.ts'
import { type OpeningOptions, round } from './opening.ts'

/** What one HTTP request brought: the part of an `Attempt` that only the network knows. */
export type HttpResult = Pick<Attempt, 'startedAt' | 'durationMs' | 'phases' | 'remoteAddress' | 'response'> &
  Verdict

export type HttpRequest = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** For a receiver that asks for a client certificate. */
  readonly identity?: ClientIdentity | null
}

/**
 * Opens connections and returns what sends one POST over them. Never rejects: whatever happens is in the result.
 * `signal` cuts requests off, which then are `cancelled`.
 *
 * - One deadline covers everything from DNS to the last byte read of the answer.
 * - The guard judges the URL before each request and every address before each connection.
 * - Redirects are not followed. Of the answer's body at most `maxResponseBytes` are read, then the connection
 *   is destroyed; what was read stays undecoded but for UTF-8.
 * - A kept connection that turns out to have ended before a byte of the request was written says nothing of the
 *   receiver: the request is sent over a new one, within the same attempt and deadline. Once some of it was written, it
 *   may have been read, and is not sent again.
 * - A connection is kept only where the whole request was surely read.
 * - Nothing leaves after the deadline, nor once `mayBegin` says no, by whichever clock is further: a machine may have
 *   been suspended while it connected. Where the clock of the day was set back, nobody knows, and nothing leaves.
 */
export function openSender(
  options: OpeningOptions & {
    guard: Pick<Guard, 'judgeTarget' | 'lookup'>
    deadlineMs: number
    maxResponseBytes: number
  },
) {
  const { guard, deadlineMs, maxResponseBytes } = options
  const connections = openConnections(options)

  async function post(
    request: HttpRequest,
    signal: AbortSignal,
    mayBegin: () => boolean = () => true,
  ): Promise<HttpResult> {
    const startedAt = new Date()
    const start: Moment = { monotonicMs: performance.now(), wallMs: startedAt.getTime() }
    const target = guard.judgeTarget(request.url)
    let exchanged: Exchanged = {
      phases: {},
      remoteAddress: null,
      response: null,
      isKept: false,
      isSent: false,
    }
    let verdict: Verdict
    if (!target.ok) verdict = judgeError('EBLOCKED', target.reason)
    else {
      const { origin, pathname, search } = target.url
      const send = async (isNew: boolean) =>
        exchange(
          await connections.takeSurely(origin, isNew, request.identity ?? null),
          { ...request, path: pathname + search },
          { start, signal, mayBegin },
        )
      exchanged = await send(false)
      const isLost = exchanged.isKept && !exchanged.isSent && isLostConnection(exchanged.error)
      if (isLost && !connections.isClosed()) exchanged = await send(true)
      verdict = judge(exchanged, signal)
    }
    const { phases, remoteAddress, response } = exchanged
    return {
      ...verdict,
      startedAt,
      durationMs: round(performance.now() - start.monotonicMs),
      phases,
      remoteAddress,
      response,
    }
  }

  function judge({ response, error }: Exchanged, signal: AbortSignal): Verdict {
    if (error === undefined) return judgeStatus(response!.status, response!.headers.location ?? null)
    if (error === lapsed || (error === cutOff && signal.aborted))
      return { outcome: 'cancelled', failure: null }
    if (error === overdue) return judgeDeadline(deadlineMs)
    if (response !== null && isLostConnection(error)) return judgeError('ANSWER_CUT', error.message)
    return judgeError(codeOf(error as NodeJS.ErrnoException), reasonOf(error as Error))
  }

  /** One request over a connection, which is given back or ended with it. Never rejects. */
  function exchange(
    connection: Connection,
    request: { headers: HttpRequest['headers']; body: string; path: string },
    { start, signal, mayBegin }: { start: Moment; signal: AbortSignal; mayBegin: () => boolean },
  ): Promise<Exchanged> {
    const before = connection.opening
    connections.begin(connection)
    const { promise, resolve } = Promise.withResolvers<Exchanged>()
    const chunks: Buffer[] = []
    let bytes = 0
    let sentMs: number | null = null
    let interimAnswers = 0
    let head: Pick<Response, 'status' | 'headers'> | null = null
    let isOver = false

    function end(error: Error | undefined, isReusable: boolean) {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      cuts.delete(cut)
      const { opening } = connection
      // A kept connection may have been opened anew before the request went out.
      const isNew = opening !== before
      const phases: Partial<Record<Phase, number>> = isNew && opening ? opening.phases() : {}
      if (!isNew && isLostConnection(error)) connections.noteClosed(connection)
      if (isReusable && opening?.isFlushed() && isSurelyRead(request.body, head!.status))
        connections.giveBack(connection)
      else connections.drop(connection)
      const nowMs = performance.now()
      const firstByteMs = connection.answer.firstByteMs()
      if (sentMs !== null) phases.first_byte = round((firstByteMs ?? nowMs) - sentMs)
      if (firstByteMs !== null) phases.body = round(nowMs - firstByteMs)
      const response = head && { ...head, ...bodyOf(chunks, bytes, maxResponseBytes) }
      const remoteAddress = opening?.address() ?? null
      resolve({
        phases,
        remoteAddress,
        response,
        isKept: !isNew,
        isSent: sentMs !== null,
        error: told(error),
      })
    }
    /** What undici does not say of an answer that it takes no interest in. */
    const told = (error: Error | undefined) => {
      if (error && isUnasked(error)) return unasked(connection.answer.status() ?? '')
      const isBare = connection.opening !== before && connection.opening?.isBare() === true
      return isBare && head === null && isLostConnection(error) ? closedBare : error
    }
    const cut = () => end(cutOff, false)
    // The rest of the deadline: the second try of a request has less.
    const timer = setTimeout(() => end(overdue, false), deadlineMs - (performance.now() - start.monotonicMs))
    const cuts = cutsOf(signal)
    if (signal.aborted) cut()
    else cuts.add(cut)

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        // A process that stood still hears of its connection before its timers. By now another may have sent newer
        // events: nothing may leave after the deadline, nor once another process may have taken over.
        const passedMs = elapsedMs(start, { monotonicMs: performance.now(), wallMs: Date.now() })
        const problem =
          passedMs === null ? lapsed : passedMs > deadlineMs ? overdue : mayBegin() ? null : lapsed
        if (problem === null) {
          sentMs = performance.now()
          connection.answer.begin()
          return
        }
        controller.abort(problem)
        end(problem, false)
      },
      onResponseStart(controller, status) {
        if (status < 100) return end(oddStatus(connection.answer.status() ?? String(status)), false)
        if (status < 200) {
          // Some may come before the answer; to read them without end would cost everybody.
          if (++interimAnswers > mostInterimAnswers) end(onlyInterim, false)
          return
        }
        head = { status, headers: readHeaders(controller.rawHeaders as readonly (string | Buffer)[]) }
        const isKept = connection.opening === before || saysItKeeps(head.headers)
        connections.noteAnswer(connection, isKept)
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxResponseBytes) end(undefined, false)
      },
      onResponseEnd: () => end(undefined, true),
      onResponseError: (_controller, error) => end(error, false),
    }
    if (!isOver) {
      const { headers, body, path } = request
      try {
        connection.client.dispatch({ method: 'POST', path, headers, body }, handler)
      } catch (error) {
        end(error as Error, false)
      }
    }
    return promise
  }

  return { post, close: connections.close }
}

/**
 * What is under way and ends with a signal. A signal by itself looks through all of its listeners for each one that is added or taken
 * away, and hundreds of requests share one.
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

export type Sender = ReturnType<typeof openSender>

/**
 * What one request over one connection brought. `isKept`: the connection had been used before; `isSent`: some of the
 * request may have been written.
 */
type Exchanged = Pick<HttpResult, 'phases' | 'remoteAddress' | 'response'> & {
  readonly isKept: boolean
  readonly isSent: boolean
  readonly error?: Error | undefined
}

const cutOff = new Error('the request was cut off')
const overdue = new Error('the deadline has passed')
const closedBare = Object.assign(new Error('closed after a handshake without a client certificate'), {
  code: 'CLOSED_BARE',
})
const lapsed = new Error('another process may have taken over')
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

/** A receiver may answer before it has read all, and never read the rest: so many bytes it got with the head. */
const mostSurelyRead = 32_768
/** One that refuses is more likely to have looked at the head only. */
const mostSurelyReadIfRefused = 8_192

function isSurelyRead(body: string, status: number): boolean {
  const isAccepted = status >= 200 && status <= 299
  return Buffer.byteLength(body) <= (isAccepted ? mostSurelyRead : mostSurelyReadIfRefused)
}

function saysItKeeps(headers: Readonly<Record<string, string>>): boolean {
  return /\bkeep-alive\b/i.test(headers.connection ?? '') || 'keep-alive' in headers
}

const lostConnection = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_INFO', 'UND_ERR_DESTROYED'])

function isLostConnection(error: Error | undefined): boolean {
  return lostConnection.has((error as NodeJS.ErrnoException | undefined)?.code ?? '') && !isUnasked(error!)
}

/** 100 and 101, which only a request with `expect` or `upgrade` may be answered with; undici takes none of them. */
function isUnasked({ message }: Error): boolean {
  return message === 'bad response' || message === 'bad upgrade'
}

function codeOf(error: NodeJS.ErrnoException): string {
  if (error.syscall === 'getaddrinfo' || error.syscall?.startsWith('query'))
    return isUnknownName(error.code ?? '') ? 'ENOTFOUND' : 'EAI_AGAIN'
  // undici's parser does not always say which rule was broken.
  return error.code ?? (error instanceof errors.HTTPParserError ? 'HPE_UNKNOWN' : '')
}

/** OpenSSL's messages name source files and threads; what it found stands in a field of its own. */
function reasonOf(error: Error & { reason?: unknown }): string {
  return typeof error.reason === 'string' ? error.reason : error.message
}

/** Names in lower case; a field that came several times is joined by commas, and cookies are not shown. */
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

/** Postgres has no NUL in its texts. */
function printable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\u{fffd}') : text
}
