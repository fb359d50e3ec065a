import type { IncomingMessage } from 'node:http'

type BodyRead =
  | { readonly ok: true; readonly body: Buffer }
  | { readonly ok: false; readonly reason: 'too large' | 'too slow' | 'gone' }

/** Whether a request announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * An excess body is read and dropped for this long: a client that is still sending when the connection ends misses the
 * response.
 */
const lingerMs = 1_000
/** A larger announced body is not read at all. */
const lingerBytes = 64 * 1024

/** Reads the whole body, at most `maxBytes` and within `withinMs`. */
export function readBody(
  incoming: IncomingMessage,
  { maxBytes, withinMs }: { maxBytes: number; withinMs: number },
): Promise<BodyRead> {
  const announced = Number(incoming.headers['content-length'] ?? 0)
  if (announced > maxBytes + lingerBytes) return Promise.resolve({ ok: false, reason: 'too large' })
  return new Promise(resolve => {
    let chunks: Buffer[] = []
    let bytes = 0
    let isTooLarge = announced > maxBytes
    const late = (): BodyRead => ({ ok: false, reason: isTooLarge ? 'too large' : 'too slow' })
    let timer = setTimeout(() => end(late()), isTooLarge ? lingerMs : withinMs)
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxBytes && !isTooLarge) {
        isTooLarge = true
        chunks = []
        clearTimeout(timer)
        timer = setTimeout(() => end(late()), lingerMs)
      }
      if (!isTooLarge) chunks.push(chunk)
    }
    const onEnd = () => end(isTooLarge ? late() : { ok: true, body: Buffer.concat(chunks) })
    const onGone = () => end({ ok: false, reason: 'gone' })
    function end(read: BodyRead): void {
      clearTimeout(timer)
      incoming.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
      // The rest of the body is dropped, with its errors.
      incoming.on('error', () => {})
      if (!read.ok) incoming.pause()
      resolve(read)
    }
    incoming.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone)
  })
}
