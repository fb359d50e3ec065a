import { connect, isIP, type Socket } from 'node:net'

/** The head start of one address before the next (RFC 8305 section 5). */
const nextAddressMs = 250

export type Race = { cancel(): void }

/** Begins to connect to one address; calls `done` once, unless it is cancelled. */
export type OpenOne = (
  address: string,
  done: (error: NodeJS.ErrnoException | null, socket: Socket | null) => void,
) => { cancel(): void }

/**
 * Opens a connection by the first address that works. They are tried in turn, IPv6 and IPv4 alternating, each beside earlier
 * ones: after a quarter of a second, or sooner if `withinMs` would not suffice for all. `done` is called once, with the open
 * socket, or with the most informative error after all failed; an error that `isFinal` ends the race. `onTry` gets each
 * address. https://www.rfc-editor.org/rfc/rfc8305
 */
export function raceAddresses(
  addresses: readonly string[],
  options: {
    withinMs: number
    openOne: OpenOne
    onTry: (address: string) => void
    isFinal?: (error: Error) => boolean
  },
  done: (error: Error | null, socket: Socket | null, address: string | null) => void,
): Race {
  const { withinMs, openOne, onTry, isFinal = () => false } = options
  const waiting = alternating(addresses)
  const everyMs = Math.min(nextAddressMs, withinMs / (2 * waiting.length))
  const inFlight = new Set<{ cancel(): void }>()
  let failure: NodeJS.ErrnoException | null = null
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  function cancel(): void {
    isOver = true
    clearTimeout(timer)
    for (const each of inFlight) each.cancel()
    inFlight.clear()
  }

  function end(error: Error | null, socket: Socket | null, address: string | null): void {
    cancel()
    done(error, socket, address)
  }

  function tryNext(): void {
    clearTimeout(timer)
    const address = waiting.shift()
    if (isOver || address === undefined) return
    onTry(address)
    const one = openOne(address, (error, socket) => {
      inFlight.delete(one)
      if (isOver) return void socket?.destroy()
      if (!error) return end(null, socket, address)
      if (failure === null || (saysLittle(failure) && !saysLittle(error))) failure = error
      if (isFinal(error)) end(error, null, null)
      else if (waiting.length > 0) tryNext()
      else if (inFlight.size === 0) end(failure, null, null)
    })
    inFlight.add(one)
    if (waiting.length > 0) timer = setTimeout(tryNext, everyMs)
  }

  tryNext()
  return { cancel }
}

/** Opens a TCP connection to an address itself. */
export const openTcp =
  (port: number): OpenOne =>
  (address, done) => {
    const socket = connect({ ...tcp, host: address, port })
    const fail = (error: Error) => {
      socket.destroy()
      done(error, null)
    }
    socket.on('error', fail).once('connect', () => {
      socket.off('error', fail)
      done(null, socket)
    })
    return { cancel: () => void socket.destroy() }
  }

/** The options of all TCP connections to receivers and proxies. */
export const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/** The families alternate, beginning with the first address's; within each, the resolver's order. */
export function alternating(addresses: readonly string[]): string[] {
  const [first, second] = [0, 1].map(turn =>
    addresses.filter(address => (isIP(address) === isIP(addresses[0]!)) === (turn === 0)),
  ) as [string[], string[]]
  return first
    .flatMap((address, i) => (second[i] === undefined ? [address] : [address, second[i]]))
    .concat(second.slice(first.length))
}

/** A missing route for a family is less informative than another address's error. */
function saysLittle({ code }: NodeJS.ErrnoException): boolean {
  return (
    code === 'ENETUNREACH' || code === 'EHOSTUNREACH' || code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
  )
}
