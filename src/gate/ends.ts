import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Release } from '../runtime/limiter.ts'

/** Browsers and proxies do not pipeline; some programs send two or three requests. */
const maxPerConnection = 8

/** Called when the response is sent, or its connection has ended. */
type Ends = Release[]

export function end(ends: Ends): void {
  for (const release of ends.splice(0)) release()
}

/** The requests in progress of each connection, with their ends. */
export type InFlight = WeakMap<Socket, Set<Ends>>

/** Follows a request; null: its connection has too many. */
export function follow(
  inFlight: InFlight,
  { socket }: IncomingMessage,
  outgoing: ServerResponse,
): Ends | null {
  let all = inFlight.get(socket)
  if (!all) {
    all = new Set()
    inFlight.set(socket, all)
    // A response queued behind another gets no event of the connection's end.
    socket.once('close', () => all!.forEach(end))
  }
  if (all.size >= maxPerConnection) return null
  const ends: Ends = []
  all.add(ends)
  outgoing.once('close', () => {
    all!.delete(ends)
    end(ends)
  })
  return ends
}
