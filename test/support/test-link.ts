import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

/** A link to a server on this machine that can stall (bytes stop coming, and nobody is told) and break. */
export type TestLink = AsyncDisposable & {
  readonly url: string
  stall(): void
  /** The connections that there are stall; new ones work. */
  stallThese(): void
  heal(): void
  /** Breaks every connection. */
  cut(): void
  /** Whether a statement has gone to the server: before, it was not there for whoever asked. */
  isUsed(): boolean
  /** Lets the next bytes that hold `text` reach the server, and breaks their connection before its answer arrives. */
  cutAnswerTo(text: string): void
}

/**
 * Opens a link to the database of `url`; its own `url` leads there through the link. Of connections beyond `most` no byte arrives
 * until another has ended, as in a pooler.
 */
export async function openTestLink(url: string, max = Number.POSITIVE_INFINITY): Promise<TestLink> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isStalled = false
  const dead = new WeakSet<Socket>()
  let cutAfter: string | null = null
  let open = 0
  let isUsed = false
  const waiting: Socket[] = []
  const server = createServer(near => {
    open++
    if (open > max) waiting.push(near)
    near.on('close', () => {
      open--
      waiting.shift()?.resume()
    })
    const far = connect(Number(target.port), target.hostname)
    let doomed = false
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', chunk => {
        // A simple query, or a parse: what comes with a startup begins otherwise.
        if (from === near && /^[QP]/.test(chunk.toString('latin1', 0, 1)) && chunk[1] === 0) isUsed = true
        if (doomed && from === far) return near.destroy()
        if (from === near && cutAfter !== null && chunk.includes(cutAfter)) {
          cutAfter = null
          doomed = true
        }
        return to.write(chunk)
      })
      // While it is stalled the end of a side is lost like every byte.
      const isSilent = () => isStalled || dead.has(from)
      from.on('end', () => isSilent() || to.end())
      from.on('error', () => isSilent() || to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        if (!isSilent()) to.destroy()
      })
      if (isStalled || waiting.includes(near)) near.pause()
      if (isStalled) from.pause()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    stallThese() {
      for (const socket of sockets) dead.add(socket.pause())
    },
    heal() {
      isStalled = false
      for (const socket of sockets) if (!dead.has(socket)) socket.resume()
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    isUsed: () => isUsed,
    cutAnswerTo(text) {
      cutAfter = text
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
