import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { sleep } from '../../runtime/sleep.ts'
import type { Html } from './html.ts'
import type { AdminEnv } from './session.ts'

export type Live = {
  readonly everyMs: number
  /** Renders the part at this moment. */
  readonly render: (nowMs: number) => Promise<Html>
}

/** A proxy may close a connection that is idle for a minute. */
const quietMs = 20_000

/**
 * Sends a live part of a page: as server-sent events, whenever it changes; or once, as markup, if the request does not accept
 * events, so that a script can poll. Ends with the reader, the session, an error of `render` (the browser reconnects), or
 * `stopped`.
 */
export async function respondLive(
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
  // The browser retries; until then the page shows its last state.
  if (visit && !visit.stream()) return c.body(null, 503, { 'retry-after': '30' })
  const isStillIn = c.get('isStillIn')
  // A buffering proxy would hold the response back for ever.
  c.header('x-accel-buffering', 'no')
  return streamSSE(c, async stream => {
    const gone = new AbortController()
    const signal = AbortSignal.any([gone.signal, stopped])
    stream.onAbort(() => gone.abort())
    let shown: string | null = null
    let sentAtMs = 0
    while (!signal.aborted) {
      const now = await next()
      if (now === null) return
      if (now !== shown) {
        await stream.writeSSE({ data: now })
        sentAtMs = performance.now()
      } else if (performance.now() - sentAtMs > quietMs) {
        await stream.write(':\n\n')
        sentAtMs = performance.now()
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
