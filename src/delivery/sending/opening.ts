import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Phase } from '../../domain/delivery/attempt.ts'
import { failureTexts } from '../../domain/failure/failure-texts.ts'
import type { ClientIdentity } from '../../domain/webhook/client-certificate.ts'
import type { EgressProxy } from '../../domain/webhook/egress-proxy.ts'
import type { Guard } from './guard.ts'
import { type OpenOne, openTcp, type Race, raceAddresses, tcp } from './race.ts'

export type OpeningOptions = {
  guard: Pick<Guard, 'lookup'>
  connectTimeoutMs: number
  proxy?: EgressProxy | null
}

/** Scheme, host and port of a checked URL; IPv6 without brackets. */
type Peer = {
  readonly protocol: string
  readonly hostname: string
  readonly port: number
  readonly identity?: ClientIdentity | null
}

export type Opening = {
  /** The duration of each phase in ms, including a failed or running one. */
  phases(): Partial<Record<Phase, number>>
  /** The address of the first try; null before. */
  address(): string | null
  /** Whether it uses TLS 1.3 without a client certificate: a receiver asks for one only after the handshake. */
  isBare(): boolean
  /** Whether everything written has been passed to the system. */
  isFlushed(): boolean
  /** Ends it in any state. */
  cancel(): void
}

/** The proxy did not connect to the receiver; the message is a sentence without the proxy's credentials. */
class ProxyError extends Error {
  readonly code = 'EPROXY'
  readonly status: number | null
  constructor(message: string, status: number | null = null) {
    super(message)
    this.status = status
  }
}

const maxProxyHeadBytes = 16_384

/**
 * Opens a connection to a receiver: the guard's `lookup` resolves its name, TCP goes to checked addresses only
 * (`raceAddresses`), and TLS verifies the URL's name. Calls `done` once, with a socket or an error of Node (or EPROXY, or the
 * guard's EBLOCKED). Resolving has the guard's time limit, TCP `connectTimeoutMs`, the handshake the caller's deadline.
 *
 * With a proxy, walhook still resolves and checks; the proxy gets CONNECT for a checked address
 * (https://www.rfc-editor.org/rfc/rfc9110#CONNECT). The proxy itself may have a private address: the operator sets it.
 */
export function openSocket(
  peer: Peer,
  options: OpeningOptions,
  done: (error: Error | null, socket: Socket | null) => void,
): Opening {
  const clock = startClock()
  let address: string | null = null
  let current: Socket | null = null
  let race: Race | null = null
  let timer: NodeJS.Timeout | undefined
  let isBare = false
  let isOver = false

  function end(error: Error | null, socket: Socket | null): void {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    clock.enter(null)
    if (error) {
      current?.destroy()
      race?.cancel()
    }
    done(error, socket)
  }
  const fail = (error: Error) => end(error, null)
  /** Every later error of the socket has a listener. */
  function hold(socket: Socket): Socket {
    current = socket
    return socket.on('error', fail)
  }

  function reach(addresses: readonly string[]): void {
    clock.enter('connect')
    timer = setTimeout(() => fail(tooLate()), options.connectTimeoutMs)
    const onTry = (tried: string) => {
      address = tried
    }
    race = raceAddresses(addresses, { ...racing(peer, options), onTry }, (error, socket, reached) => {
      if (isOver) return
      if (error) return fail(error)
      address = reached
      secure(hold(socket!))
    })
  }

  function secure(socket: Socket): void {
    clearTimeout(timer)
    if (peer.protocol !== 'https:') end(null, socket)
    else {
      clock.enter('tls')
      const secured = openTls(socket, peer)
      if (secured instanceof Error) fail(secured)
      else
        hold(secured).once('secureConnect', () => {
          isBare = peer.identity == null && secured.getProtocol() === 'TLSv1.3'
          end(null, secured)
        })
    }
  }

  if (isIP(peer.hostname) === 0) clock.enter('dns')
  findAddresses(peer, options.guard, (error, addresses) => {
    if (isOver) return
    if (error) fail(error)
    else reach(addresses)
  })

  return {
    phases: clock.phases,
    address: () => address,
    isBare: () => isBare,
    isFlushed: () => current !== null && current.writableLength === 0,
    cancel() {
      isOver = true
      clearTimeout(timer)
      race?.cancel()
      current?.destroy()
    },
  }
}

function findAddresses(
  { hostname, port }: Peer,
  guard: OpeningOptions['guard'],
  done: (error: Error | null, addresses: readonly string[]) => void,
): void {
  if (isIP(hostname) !== 0) done(null, [hostname])
  else
    guard.lookup(hostname, { all: true, port }, (error, found) =>
      done(error, error ? [] : (found as { address: string }[]).map(({ address }) => address)),
    )
}

const tooLate = () =>
  Object.assign(new Error('the connection was not accepted in time'), { code: 'ETIMEDOUT' })

/** How a peer's addresses are tried, directly or through the proxy. */
const racing = ({ port }: Peer, { proxy, connectTimeoutMs }: OpeningOptions) => ({
  withinMs: connectTimeoutMs,
  openOne: proxy ? throughProxy(proxy, port) : openTcp(port),
  isFinal,
})

/** Begins the handshake that verifies the URL's name. An error: this OpenSSL rejects the client certificate. */
function openTls(socket: Socket, { hostname, identity }: Peer): TLSSocket | Error {
  try {
    return connectTls({
      socket,
      host: hostname,
      // SNI contains names only, without a trailing dot (RFC 6066 section 3).
      servername: isIP(hostname) === 0 ? hostname.replace(/\.$/, '') : '',
      ALPNProtocols: ['http/1.1'],
      // Overrides NODE_TLS_REJECT_UNAUTHORIZED.
      rejectUnauthorized: true,
      ...(identity && { cert: identity.certificate, key: identity.key }),
    })
  } catch (error) {
    return error as Error
  }
}

/** A proxy's refusal applies to all addresses, unless it only lacks a route to one, such as IPv6. */
const isFinal = (error: Error) => error instanceof ProxyError && error.status !== null && error.status < 502

/** Opens a connection through a proxy's tunnel to an address. */
const throughProxy =
  (proxy: EgressProxy, port: number): OpenOne =>
  (address, done) => {
    const authority = `${isIP(address) === 6 ? `[${address}]` : address}:${port}`
    let head = ''
    const socket = connectTcp({ ...tcp, host: proxy.host, port: proxy.port })
    const fail = (why: string, status: number | null = null) => {
      socket.destroy()
      done(new ProxyError(why, status), null)
    }
    const onError = (error: NodeJS.ErrnoException) =>
      fail(failureTexts['proxy.unreachable']({ message: error.code ?? error.message }))
    const onEnd = () => fail(failureTexts['proxy.closed']())
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0 && head.length <= maxProxyHeadBytes) return
      const status = Number(/^HTTP\/1\.[01] (\d{3})\b/.exec(head)?.[1])
      if (end < 0 || !status) return fail(failureTexts['proxy.not_http']())
      if (status === 407) return fail(failureTexts['proxy.login'](), status)
      if (status < 200 || status > 299)
        return fail(failureTexts['proxy.status']({ status, target: authority }), status)
      // The receiver does not speak first.
      if (head.length > end + 4) return fail(failureTexts['proxy.more']())
      socket.off('data', onData).off('end', onEnd).off('error', onError).pause()
      done(null, socket)
    }
    socket
      .on('error', onError)
      .once('connect', () => {
        const login = proxy.authorization === null ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`
        socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${login}\r\n`)
      })
      .on('data', onData)
      .once('end', onEnd)
    return { cancel: () => void socket.destroy() }
  }

/** Measures consecutive phases. A name with several addresses may repeat one. */
function startClock() {
  const phases: Partial<Record<Phase, number>> = {}
  let phase: Phase | null = null
  let sinceMs = 0

  function enter(next: Phase | null): void {
    const nowMs = performance.now()
    if (phase !== null) phases[phase] = round((phases[phase] ?? 0) + nowMs - sinceMs)
    phase = next
    sinceMs = nowMs
  }
  return {
    enter,
    phases() {
      enter(phase)
      return { ...phases }
    },
  }
}

/** To a microsecond. */
export const round = (ms: number) => Math.round(ms * 1000) / 1000
