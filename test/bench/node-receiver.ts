import { createServer } from 'node:net'
import { sharedClockMs } from './figures.ts'

/**
 * A receiver that costs little: reads requests off the socket by their content-length and answers 204, after the delay
 * (ms) that its argument names; -1: never. GET /count and GET /arrivals tell what came. Prints its port.
 */
const delayMs = Number(process.argv[2] ?? 0)
const arrivals = new Map<number, number>()
let count = 0

const server = createServer({ noDelay: true }, socket => {
  let waiting: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    waiting = waiting.length === 0 ? (chunk as Buffer) : Buffer.concat([waiting, chunk as Buffer])
    for (;;) {
      const headEnd = waiting.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      const head = waiting.toString('latin1', 0, headEnd)
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
      const end = headEnd + 4 + length
      if (waiting.length < end) return
      if (head.startsWith('GET')) tell(head.startsWith('GET /count') ? count : [...arrivals])
      else receive(waiting.toString('latin1', headEnd + 4, end))
      waiting = waiting.subarray(end)
    }
  })

  function receive(body: string) {
    count++
    const id = Number(/"(?:entity_)?id": ?(\d+)/.exec(body)?.[1])
    if (!arrivals.has(id)) arrivals.set(id, sharedClockMs())
    const answer = () => socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    if (delayMs === 0) answer()
    else if (delayMs > 0) setTimeout(answer, delayMs)
  }

  function tell(value: unknown) {
    const text = JSON.stringify(value)
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as { port: number }).port}\n`)
})
process.on('SIGTERM', () => process.exit(0))
