import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Identity } from './certificates.ts'

/** A receiver that does with each connection, and with each request on it, what it is told. */
export async function startRawReceiver(options: {
  onRequest?: (socket: Socket, count: number) => void
  onConnection?: (socket: Socket) => void
  /** With one it speaks TLS. */
  identity?: Identity
  host?: string
}) {
  const sockets: Socket[] = []
  let requests = 0
  const take = (socket: Socket) => {
    sockets.push(socket.on('error', () => {}))
    options.onConnection?.(socket)
    socket.on('data', data => {
      if (data.toString('latin1').startsWith('POST')) options.onRequest?.(socket, ++requests)
    })
  }
  const server = options.identity ? createTlsServer(options.identity, take) : createTcpServer(take)
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, options.host ?? '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Writes an answer, a `head` without its version and a `body`. */
export const answer = (socket: Socket, head = '204 No Content', body = '') =>
  socket.write(`HTTP/1.1 ${head}\r\n\r\n${body}`, 'latin1')
