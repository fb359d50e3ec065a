import { errors } from 'undici'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import {
  classifyDeadline,
  classifyError,
  classifyStatus,
  isUnknownName,
  type Verdict,
} from '../../domain/delivery/outcome.ts'
import type { Moment } from '../../domain/value/elapsed.ts'
import type { ClientIdentity } from '../../domain/webhook/client-certificate.ts'
import { openConnections } from './connections.ts'
import { cutOff, type Exchanged, exchange, isLostConnection, lapsed, overdue } from './exchange.ts'
import type { Guard } from './guard.ts'
import { type OpeningOptions, round } from './opening.ts'

/** The result of one HTTP request: the network's part of an `Attempt`. */
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
 * Opens connections, and returns the function that sends one POST. It never rejects: errors are part of the result. `signal`
 * cancels requests (`cancelled`).
 *
 * - One deadline covers everything from DNS to the last byte read.
 * - The guard checks the URL before each request, and every address before each connection.
 * - Redirects are not followed. At most `maxResponseBytes` of the body are read as UTF-8; then the connection is destroyed.
 * - A kept connection that turns out to be closed before a byte was written is replaced within the same attempt. After a byte
 *   was written, the receiver may have read it, and it is not repeated.
 * - A connection is kept only if the whole request was certainly read.
 * - Nothing is sent after the deadline, or once `mayBegin` is false, by the clock that advanced more: the machine may have
 *   been suspended. If the wall clock was set back, nothing is sent.
 */
export function openSender(
  options: OpeningOptions & {
    guard: Pick<Guard, 'checkUrl' | 'lookup'>
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
    const target = guard.checkUrl(request.url)
    let exchanged = notExchanged
    let verdict: Verdict
    if (!target.ok) verdict = classifyError('EBLOCKED', target.reason)
    else {
      const { origin, path } = target
      const asked = { request, path, start, deadlineMs, maxResponseBytes, signal, mayBegin }
      const identity = request.identity ?? null
      const taken = connections.takeSurely(origin, identity)
      exchanged = await exchange(connections, taken instanceof Promise ? await taken : taken, asked)
      const isLost = exchanged.isKept && !exchanged.isSent && isLostConnection(exchanged.error)
      if (isLost && !connections.isClosed())
        exchanged = await exchange(connections, connections.take(origin, true, identity), asked)
      verdict = classify(exchanged, signal)
    }
    const { phases, remoteAddress, response } = exchanged
    return {
      outcome: verdict.outcome,
      failure: verdict.failure,
      startedAt,
      durationMs: round(performance.now() - start.monotonicMs),
      phases,
      remoteAddress,
      response,
    }
  }

  function classify({ response, error }: Exchanged, signal: AbortSignal): Verdict {
    if (error === undefined) return classifyStatus(response!.status, response!.headers.location ?? null)
    if (error === lapsed || (error === cutOff && signal.aborted))
      return { outcome: 'cancelled', failure: null }
    if (error === overdue) return classifyDeadline(deadlineMs)
    if (response !== null && isLostConnection(error)) return classifyError('ANSWER_CUT', error.message)
    return classifyError(codeOf(error as NodeJS.ErrnoException), reasonOf(error as Error))
  }

  return { post, close: connections.close }
}

const notExchanged: Exchanged = {
  phases: {},
  remoteAddress: null,
  response: null,
  isKept: false,
  isSent: false,
}

export type Sender = ReturnType<typeof openSender>

function codeOf(error: NodeJS.ErrnoException): string {
  if (error.syscall === 'getaddrinfo' || error.syscall?.startsWith('query'))
    return isUnknownName(error.code ?? '') ? 'ENOTFOUND' : 'EAI_AGAIN'
  // undici's parser does not always name the broken rule.
  return error.code ?? (error instanceof errors.HTTPParserError ? 'HPE_UNKNOWN' : '')
}

/** OpenSSL's messages contain source files and threads; the finding is in a separate field. */
function reasonOf(error: Error & { reason?: unknown }): string {
  return typeof error.reason === 'string' ? error.reason : error.message
}
