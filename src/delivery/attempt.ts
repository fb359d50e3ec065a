import type { Agent as HttpAgent } from 'undici'
import { Agent, errors, request as send } from 'undici'
import type { Attempt, Phase, Response } from '../domain/attempt.ts'
import { judgeDeadline, judgeError, judgeStatus, type Verdict } from '../domain/outcome.ts'
import type { Guard } from './guard.ts'

/** What one HTTP request brought: the part of an `Attempt` that only the network knows. */
export type HttpResult = Pick<Attempt, 'startedAt' | 'durationMs' | 'phases' | 'remoteAddress' | 'response'> &
  Verdict

export type HttpRequest = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Opens connection pools and returns what sends one POST over them. Never rejects: whatever happens is in the
 * result. `signal` cuts requests off, which then are `cancelled`.
 *
 * - One deadline covers everything from DNS to the last byte read of the answer.
 * - The guard judges the URL before each request and every address before each connection.
 * - Redirects are not followed. Of the answer's body at most `maxResponseBytes` are read, then the connection
 *   is destroyed; what was read stays undecoded but for UTF-8.
 */
export function openSender(options: {
  guard: Pick<Guard, 'judgeTarget' | 'lookup'>
  deadlineMs: number
  connectTimeoutMs: number
  maxResponseBytes: number
}) {
  const { guard, deadlineMs, maxResponseBytes } = options
  const agent: HttpAgent = new Agent({
    pipelining: 1,
    keepAliveTimeout: 4_000,
    // The deadline is the only clock on a request.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { lookup: guard.lookup, timeout: options.connectTimeoutMs },
  })

  async function post(request: HttpRequest, signal: AbortSignal): Promise<HttpResult> {
    const startedAt = new Date()
    const startMs = performance.now()
    const phases: Partial<Record<Phase, number>> = {}
    const since = (fromMs: number) => Math.round((performance.now() - fromMs) * 1000) / 1000
    let response: Response | null = null

    const end = (verdict: Verdict): HttpResult => ({
      ...verdict,
      startedAt,
      durationMs: since(startMs),
      phases,
      remoteAddress: null,
      response,
    })

    const target = guard.judgeTarget(request.url)
    if (!target.ok) return end(judgeError('EBLOCKED', target.reason))
    const deadline = AbortSignal.timeout(deadlineMs)
    try {
      const answer = await send(target.url, {
        method: 'POST',
        dispatcher: agent,
        headers: request.headers,
        body: request.body,
        signal: AbortSignal.any([signal, deadline]),
        responseHeaders: 'raw',
      })
      phases.first_byte = since(startMs)
      const bodyMs = performance.now()
      const head = { status: answer.statusCode, headers: readHeaders(answer.headers as unknown as string[]) }
      response = { ...head, body: '', truncated: false }
      response = { ...head, ...(await readBody(answer.body, maxResponseBytes)) }
      phases.body = since(bodyMs)
      return end(judgeStatus(answer.statusCode, head.headers.location ?? null))
    } catch (error) {
      if (signal.aborted) return end({ outcome: 'cancelled', failure: null })
      if (deadline.aborted) return end(judgeDeadline(deadlineMs))
      const { message } = error as Error
      return end(judgeError(codeOf(error as NodeJS.ErrnoException), message))
    }
  }

  return { post, close: () => agent.destroy() }
}

export type Sender = ReturnType<typeof openSender>

function codeOf(error: NodeJS.ErrnoException): string {
  if (error.syscall === 'getaddrinfo') return 'ENOTFOUND'
  // undici's parser does not always say which rule was broken.
  return error.code ?? (error instanceof errors.HTTPParserError ? 'HPE_UNKNOWN' : '')
}

/** Names in lower case; a field that came several times is joined by commas, and cookies are not shown. */
function readHeaders(raw: readonly string[]): Record<string, string> {
  // Without a prototype: a receiver may name a header `constructor` or `__proto__`.
  const headers: Record<string, string> = Object.create(null)
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]).toLowerCase()
    const value = name === 'set-cookie' ? '[redacted]' : printable(String(raw[i + 1]))
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}

async function readBody(
  stream: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<{ body: string; truncated: boolean }> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop destroys the stream, and with it the connection.
  for await (const chunk of stream) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxBytes) break
  }
  const read = Buffer.concat(chunks).subarray(0, maxBytes)
  return { body: printable(read.toString('utf8')), truncated: bytes > maxBytes }
}

/** Postgres has no NUL in its texts. */
function printable(text: string): string {
  return text.replaceAll('\0', '\u{fffd}')
}
