import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { sleep } from '../../runtime/sleep.ts'
import type { Html } from './html.ts'
import type { AdminEnv } from './session.ts'

export type Live = {
  readonly everyMs: number
  /** Writes the piece as it is at this moment. */
  readonly render: (nowMs: number) => Promise<Html>
}

/** A proxy may end a connection on which nothing moves for a minute. */
const quietMs = 20_000

/**
 * Answers with a piece of a page that follows what happens: as server-sent events, a new one whenever it has changed;
 * or, to who does not ask for events, once, as markup, so that a script may poll the same address. Ends when the reader
 * goes, when their session has ended, when `render` throws (the browser asks again), or when `stopped` is aborted.
 */
export async function answerLive(
  c: Context<AdminEnv>,
  piece: Live,
  {
    stopped,
    nowMs,
    onFailure,
  }: { stopped: AbortSignal; nowMs: () => number; onFailure: (error: unknown) => void },
): Promise<Response> {
  if (!c.req.header('accept')?.includes('text/event-stream')) return c.html(await piece.render(nowMs()))
  const visit = c.env?.visit
  // The browser asks again, as after any failure; a page that is not followed still shows what it showed.
  if (visit && !visit.stream()) return c.body(null, 503, { 'retry-after': '30' })
  const isStillIn = c.get('isStillIn')
  // A proxy that collects the answer before it passes it on would hold it back for ever.
  c.header('x-accel-buffering', 'no')
  return streamSSE(c, async stream => {
    const gone = new AbortController()
    const signal = AbortSignal.any([gone.signal, stopped])
    stream.onAbort(() => gone.abort())
    let shown: string | null = null
    let saidAt = 0
    while (!signal.aborted) {
      const now = await next()
      if (now === null) return
      if (now !== shown) {
        await stream.writeSSE({ data: now })
        saidAt = performance.now()
      } else if (performance.now() - saidAt > quietMs) {
        await stream.write(':\n\n')
        saidAt = performance.now()
      }
      shown = now
      await sleep(piece.everyMs, signal)
    }
  })

  async function next(): Promise<string | null> {
    try {
      return (await isStillIn()) ? String(await piece.render(nowMs())) : null
    } catch (error) {
      onFailure(error)
      return null
    }
  }
}
