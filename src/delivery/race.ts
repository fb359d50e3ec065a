import { connect, isIP, type Socket } from 'node:net'

/** How long one address is tried alone before the next one is tried beside it (RFC 8305 section 5). */
const nextAddressMs = 250

export type Race = { cancel(): void }

/**
 * Opens a TCP connection to the first of several addresses that accepts one. They are tried in turn, IPv6 and IPv4
 * alternately, each beside those before it: after a quarter of a second, or sooner where there are so many that
 * `withinMs` would not do for all. `done` is called once, with the open socket, or with the error that says the most when
 * all have failed; `onTry` is told each address. https://www.rfc-editor.org/rfc/rfc8305
 */
export function connectToFirst(
  addresses: readonly string[],
  options: { port: number; withinMs: number; onTry: (address: string) => void } & object,
  done: (error: Error | null, socket: Socket | null, address: string | null) => void,
): Race {
  const { port, withinMs, onTry } = options
  const waiting = alternating(addresses)
  const everyMs = Math.min(nextAddressMs, withinMs / (2 * waiting.length))
  const open = new Set<Socket>()
  let failure: NodeJS.ErrnoException | null = null
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  function end(error: Error | null, winner: Socket | null, address: string | null): void {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    for (const socket of open) if (socket !== winner) socket.destroy()
    done(error, winner, address)
  }

  function tryNext(): void {
    clearTimeout(timer)
    const address = waiting.shift()
    if (isOver || address === undefined) return
    onTry(address)
    const socket = connect({ ...tcp, host: address, port })
    open.add(socket)
    const fail = (error: NodeJS.ErrnoException) => {
      open.delete(socket)
      socket.destroy()
      if (failure === null || (saysLittle(failure) && !saysLittle(error))) failure = error
      if (waiting.length > 0) tryNext()
      else if (open.size === 0) end(failure, null, null)
    }
    socket.on('error', fail).once('connect', () => {
      socket.off('error', fail)
      // Whoever takes it listens from now on; those that lost have nobody.
      if (!isOver) end(null, socket, address)
    })
    if (waiting.length > 0) timer = setTimeout(tryNext, everyMs)
  }

  tryNext()
  return {
    cancel() {
      isOver = true
      clearTimeout(timer)
      for (const socket of open) socket.destroy()
    },
  }
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
