import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Release } from '../runtime/limiter.ts'

/** No browser and no proxy sends a request before the answer to the one before it; some programs send two or three. */
const mostPerConnection = 8

/** What a request gives back when its answer is out or its connection has ended. */
export type Ends = Release[]

export function end(ends: Ends): void {
  for (const release of ends.splice(0)) release()
}

/** What is under way on each connection, each with what to give back at its end. */
export type UnderWay = WeakMap<Socket, Set<Ends>>

/** Begins to follow a request; null where its connection has too much under way. */
export function follow(
  underWay: UnderWay,
  { socket }: IncomingMessage,
  outgoing: ServerResponse,
): Ends | null {
  let all = underWay.get(socket)
  if (!all) {
    all = new Set()
    underWay.set(socket, all)
    // An answer that waits behind another of its connection hears nothing of the connection's end.
    socket.once('close', () => all!.forEach(end))
  }
  if (all.size >= mostPerConnection) return null
  const ends: Ends = []
  all.add(ends)
  outgoing.once('close', () => {
    all!.delete(ends)
    end(ends)
  })
  return ends
}
