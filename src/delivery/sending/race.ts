import { connect, isIP, type Socket } from 'node:net'

/** How long one address is tried alone before the next one is tried beside it (RFC 8305 section 5). */
const nextAddressMs = 250

export type Race = { cancel(): void }

/** Begins to open a connection by way of one address; calls `done` once, unless it is cancelled before. */
export type OpenOne = (
  address: string,
  done: (error: NodeJS.ErrnoException | null, socket: Socket | null) => void,
) => { cancel(): void }

/**
 * Opens a connection by the first of several addresses that leads to one. They are tried in turn, IPv6 and IPv4
 * alternately, each beside those before it: after a quarter of a second, or sooner where there are so many that
 * `withinMs` would not do for all. `done` is called once, with the open socket, to which nobody listens yet, or with the error that
 * says the most when all have failed; an error that `isFinal` ends the race, since no other address would do better.
 * `onTry` is told each address. https://www.rfc-editor.org/rfc/rfc8305
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
  const underWay = new Set<{ cancel(): void }>()
  let failure: NodeJS.ErrnoException | null = null
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  function cancel(): void {
    isOver = true
    clearTimeout(timer)
    for (const each of underWay) each.cancel()
    underWay.clear()
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
      underWay.delete(one)
      if (isOver) return void socket?.destroy()
      if (!error) return end(null, socket, address)
      if (failure === null || (saysLittle(failure) && !saysLittle(error))) failure = error
      if (isFinal(error)) end(error, null, null)
      else if (waiting.length > 0) tryNext()
      else if (underWay.size === 0) end(failure, null, null)
    })
    underWay.add(one)
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

/** How every TCP connection of walhook's to receivers and proxies is made. */
export const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/** The families in turn, beginning with the first address's; in each, the order of the resolver. */
export function alternating(addresses: readonly string[]): string[] {
  const [first, second] = [0, 1].map(turn =>
    addresses.filter(address => (isIP(address) === isIP(addresses[0]!)) === (turn === 0)),
  ) as [string[], string[]]
  return first
    .flatMap((address, i) => (second[i] === undefined ? [address] : [address, second[i]]))
    .concat(second.slice(first.length))
}

/** No route for a family says less than what another address answers. */
function saysLittle({ code }: NodeJS.ErrnoException): boolean {
  return (
    code === 'ENETUNREACH' || code === 'EHOSTUNREACH' || code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
  )
}
