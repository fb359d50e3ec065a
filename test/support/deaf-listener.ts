import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const program = `
const server = require('node:net').createServer()
server.listen({ port: Number(process.argv[1]), host: process.argv[2], backlog: 1 }, () => {
  process.stdout.write('listening', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})`

/**
 * Something at an address and port that no connection gets through to, and that refuses none: its queue is full and nobody
 * empties it, so that the system drops what comes.
 */
export async function startDeafListener(port: number, host: string): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, ['-e', program, String(port), host], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  const fillers: Socket[] = []
  for (;;) {
    const socket = connect({ port, host }).on('error', () => {})
    fillers.push(socket)
    const isIn = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise<false>(resolve => setTimeout(resolve, 300, false)),
    ])
    if (!isIn) break
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy()
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}
