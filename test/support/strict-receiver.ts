import type { Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { Identity } from './certificates.ts'
import { answer } from './raw-receiver.ts'

/** A receiver that asks every client for a certificate of an authority, and says in its answer who came. */
export async function startStrictReceiver(options: {
  server: Identity
  authority: { readonly cert: string }
  maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}) {
  const { server, authority, maxVersion = 'TLSv1.3' } = options
  const sockets: Socket[] = []
  const at = createServer(
    { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true, maxVersion },
    (socket: TLSSocket) => {
      socket
        .on('error', () => {})
        .on('data', () => {
          const who = String(socket.getPeerCertificate().subject?.CN)
          answer(socket, `200 OK\r\nconnection: keep-alive\r\ncontent-length: ${who.length}`, who)
        })
    },
  )
  at.on('tlsClientError', () => {}).on('connection', socket => sockets.push(socket))
  await new Promise<void>(resolve => at.listen(0, '127.0.0.1', resolve))
  return {
    port: (at.address() as { port: number }).port,
    sockets,
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => at.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
