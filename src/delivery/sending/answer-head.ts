import type { Socket } from 'node:net'

/** A longer head goes to the parser unchanged, which refuses it. */
const mostHeadBytes = 16_384
const none = Buffer.alloc(0)

/**
 * Corrects response heads like browsers, where the parser is stricter: equal content-lengths are merged, and
 * `transfer-encoding` overrides them (https://www.rfc-editor.org/rfc/rfc9112#section-6.3). Heads are passed on whole,
 * everything else as it arrives.
 */
export function createAnswerHead(nowMs: () => number = () => performance.now()) {
  let held: Buffer = none
  let isInHead = true
  let status: string | null = null
  let firstByteMs: number | null = null

  function take(chunk: Buffer): Buffer {
    firstByteMs ??= nowMs()
    if (!isInHead) return chunk
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const begin = held.toString('latin1', 0, 6)
    if (begin !== 'HTTP/1' && !'HTTP/1'.startsWith(begin)) return giveAll()
    const end = endOfHead(held)
    if (end < 0) return held.length > mostHeadBytes ? giveAll() : none
    const all = held
    const [head, rest] = [all.subarray(0, end), all.subarray(end)]
    held = none
    status = /^HTTP\/1\.\d (\d{3})/.exec(head.toString('latin1', 0, 12))?.[1] ?? null
    // The final response may follow an interim one.
    if (status?.startsWith('1') && status !== '101') return Buffer.concat([withOneLength(head), take(rest)])
    isInHead = false
    const given = withOneLength(head)
    return given === head ? all : Buffer.concat([given, rest])
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
    /** When the first byte came. */
    firstByteMs: () => firstByteMs,
  }
}

/** Passes everything read from a socket through `head`. */
export function readThrough(socket: Socket, head: AnswerHead): Socket {
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

export type AnswerHead = ReturnType<typeof createAnswerHead>

/** The position of the empty line after the fields; -1: not received yet. */
function endOfHead(bytes: Buffer): number {
  const crlf = bytes.indexOf('\r\n\r\n')
  const lf = bytes.indexOf('\n\n')
  if (crlf < 0 && lf < 0) return -1
  return lf >= 0 && (crlf < 0 || lf < crlf) ? lf + 2 : crlf + 4
}

/** A head with one content-length if all its values are equal, and with none beside a transfer-encoding. */
function withOneLength(head: Buffer): Buffer {
  const text = head.toString('latin1')
  const lengths = text.match(/(?<=\n)content-length[ \t]*:[^\n]*/gi)
  if (!lengths) return head
  const isChunked = /(?<=\n)transfer-encoding[ \t]*:.*chunked/i.test(text)
  const values = lengths.flatMap(line => line.slice(line.indexOf(':') + 1).split(','))
  const isOne = new Set(values.map(value => value.trim())).size === 1
  if (!isChunked && (values.length === 1 || !isOne)) return head
  const kept = text.split('\n').filter(line => !/^content-length[ \t]*:/i.test(line))
  if (!isChunked) kept.splice(1, 0, `content-length: ${values[0]!.trim()}\r`)
  return Buffer.from(kept.join('\n'), 'latin1')
}
