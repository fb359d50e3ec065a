import type { Socket } from 'node:net'

/** A longer head goes to the parser unchanged, which refuses it. */
const maxHeadBytes = 16_384
const none = Buffer.alloc(0)

/**
 * Corrects response heads like browsers, where the parser is stricter: equal content-lengths are merged, and
 * `transfer-encoding` overrides them (https://www.rfc-editor.org/rfc/rfc9112#section-6.3). Heads are passed on whole,
 * everything else as it arrives.
 */
export function createResponseHead(nowMs: () => number = () => performance.now()) {
  let held: Buffer = none
  let isInHead = true
  let status: string | null = null
  let firstByteMs: number | null = null

  function take(chunk: Buffer): Buffer {
    firstByteMs ??= nowMs()
    if (!isInHead) return chunk
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const text = held.toString('latin1', 0, maxHeadBytes + 4)
    const begin = text.slice(0, 6)
    if (begin !== 'HTTP/1' && !'HTTP/1'.startsWith(begin)) return giveAll()
    const end = endOfHead(text)
    if (end < 0) return held.length > maxHeadBytes ? giveAll() : none
    const all = held
    held = none
    status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? null
    const head = text.slice(0, end)
    const corrected = withOneLength(head)
    // The final response may follow an interim one.
    const isInterim = status?.startsWith('1') && status !== '101'
    isInHead = isInterim === true
    if (!isInterim && corrected === head) return all
    const rest = all.subarray(end)
    return Buffer.concat([Buffer.from(corrected, 'latin1'), isInterim ? take(rest) : rest])
  }

  function giveAll(): Buffer {
    isInHead = false
    const all = held
    held = none
    return all
  }

  return {
    /** A new request: the next bytes are a head. */
    begin() {
      held = none
      isInHead = true
      status = null
      firstByteMs = null
    },
    /** The bytes for the parser; empty while a head is incomplete. */
    take,
    /** The three digits of the last head's status, as received. */
    status: () => status,
    firstByteMs: () => firstByteMs,
  }
}

export function readThrough(socket: Socket, head: ResponseHead): Socket {
  const read = socket.read.bind(socket)
  socket.read = (size?: number) => {
    for (;;) {
      const chunk: Buffer | null = read(size)
      if (chunk === null) return null
      const given = head.take(chunk)
      if (given.length > 0) return given
    }
  }
  return socket
}

export type ResponseHead = ReturnType<typeof createResponseHead>

/** The position after the empty line after the fields; -1: not received yet. */
function endOfHead(text: string): number {
  const crlf = text.indexOf('\r\n\r\n')
  const lf = text.indexOf('\n\n')
  if (crlf < 0 && lf < 0) return -1
  return lf >= 0 && (crlf < 0 || lf < crlf) ? lf + 2 : crlf + 4
}

/** A head with one content-length if all its values are equal, and with none beside a transfer-encoding. */
function withOneLength(text: string): string {
  const lengths = text.match(/\ncontent-length[ \t]*:[^\n]*/gi)
  if (!lengths) return text
  const isChunked = /\ntransfer-encoding[ \t]*:.*chunked/i.test(text)
  const values = lengths.flatMap(line => line.slice(line.indexOf(':') + 1).split(','))
  const isOne = new Set(values.map(value => value.trim())).size === 1
  if (!isChunked && (values.length === 1 || !isOne)) return text
  const kept = text.split('\n').filter(line => !/^content-length[ \t]*:/i.test(line))
  if (!isChunked) kept.splice(1, 0, `content-length: ${values[0]!.trim()}\r`)
  return kept.join('\n')
}
