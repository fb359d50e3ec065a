import type { TimeId } from '../../domain/value/time-id.ts'
import type { Settled, ToSettle } from '../../outbox/settle/settle.ts'
import { isOfData, withoutResponse } from '../../outbox/settle/unstorable.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'

const max = 200
/** With this many, a commit does not wait for more. */
const enough = 20
const longestRestMs = 20
const retryMs = 500

type SettlerOptions = {
  /** The rows to write with the next commit, and those that must wait for a later one. */
  takeRows: (max: number) => { readonly rows: ToSettle['aside']; readonly left: ToSettle['aside'] }
  settle: (what: ToSettle) => Promise<Settled>
  log: Log
  clockMs: () => number
  onSettled: (what: ToSettle, settled: Settled | null) => void
}

/**
 * Commits attempts, rows and supersessions. Work that comes during a commit, or during the equally long rest after it, joins
 * the next: a busy process shares commits, at most at half of the disk's pace, and an idle one does not wait. One commit at a
 * time, so that rows precede the settlement of what follows them. While the database is down, everything waits here.
 */
export function createSettler(options: SettlerOptions) {
  const { clockMs } = options
  const attempts: ToSettle['settlements'][number][] = []
  let isRunning = false
  let isWanted = false
  let restsUntilMs = Number.NEGATIVE_INFINITY
  /** Ends a rest. */
  let wake = () => {}
  const gaveUp = new AbortController()
  const { settleSurely, settlingSinceMs } = createSurely({
    ...options,
    gaveUp: gaveUp.signal,
    onCommit(startMs, endMs) {
      restsUntilMs = endMs + Math.min(endMs - startMs, longestRestMs)
    },
  })

  async function drain(): Promise<void> {
    while (isWanted) {
      if (attempts.length < enough) await rest(restsUntilMs - clockMs())
      isWanted = false
      // Rows come first: a settlement may be of one of them.
      const { rows: aside, left } = options.takeRows(5 * max)
      const settlements = takeWritten(attempts, left)
      if (settlements.length + aside.length === 0) break
      if (attempts.length + left.length > 0) isWanted = true
      await settleSurely({ settlements, aside })
    }
    isRunning = false
    if (isWanted) start()
  }

  async function rest(ms: number): Promise<void> {
    if (ms <= 0) return
    const woken = new AbortController()
    wake = () => woken.abort()
    await sleep(ms, woken.signal)
    wake = () => {}
  }

  function start() {
    isWanted = true
    if (isRunning) return
    isRunning = true
    void drain()
  }

  return {
    push(settlement: ToSettle['settlements'][number]) {
      attempts.push(settlement)
      if (attempts.length >= enough) wake()
      start()
    },
    /** There are rows to write. */
    wanted: start,
    settlingSinceMs,
    /** Stops retrying: a takeover handles the rest. */
    giveUp() {
      gaveUp.abort()
      wake()
    },
  }
}

/**
 * Takes the oldest settlements, without those of rows that are not yet written. These alone wait: while rows come at a steady
 * pace and commits are slow, there is always one.
 */
function takeWritten(attempts: ToSettle['settlements'][number][], left: ToSettle['aside']) {
  if (left.length === 0) return attempts.splice(0, max)
  const keyOf = (webhookId: number, eventId: TimeId) => `${webhookId} ${eventId}`
  const unwritten = new Set(left.map(({ webhookId, eventId }) => keyOf(webhookId, eventId)))
  const { written = [], waiting = [] } = Object.groupBy(attempts, ({ shipment }) =>
    shipment.deliveries.some(({ eventId }) => unwritten.has(keyOf(shipment.webhookId, eventId)))
      ? 'waiting'
      : 'written',
  )
  const taken = written.splice(0, max)
  attempts.splice(0, attempts.length, ...written, ...waiting)
  return taken
}

/** Settles until it commits, or is given up. Data that the database refuses is settled separately. */
function createSurely(
  options: Pick<SettlerOptions, 'settle' | 'log' | 'clockMs' | 'onSettled'> & {
    gaveUp: AbortSignal
    onCommit: (startMs: number, endMs: number) => void
  },
) {
  const { log, clockMs, gaveUp } = options
  /** Since when the present settlement waits for its commit; null: none. */
  let settlingSinceMs: number | null = null

  async function settleSurely(what: ToSettle): Promise<void> {
    settlingSinceMs = clockMs()
    while (!gaveUp.aborted) {
      const startMs = clockMs()
      try {
        const settled = await options.settle(what)
        const endMs = clockMs()
        settlingSinceMs = null
        options.onCommit(startMs, endMs)
        options.onSettled(what, settled)
        return
      } catch (error) {
        log.error('delivery.settle_failed', {
          reason: describeError(error),
          attempts: what.settlements.length,
        })
        if (isOfData(error)) return await settleApart(what, error)
        await sleep(retryMs, gaveUp)
      }
    }
    options.onSettled(what, null)
  }

  /** One refused settlement must not block the others: bisects to it. */
  async function settleApart(what: ToSettle, error: unknown): Promise<void> {
    const { settlements, aside } = what
    if (aside.length > 0 && settlements.length > 0) {
      await settleSurely({ settlements: [], aside })
      return await settleSurely({ settlements, aside: [] })
    }
    if (settlements.length > 1) {
      const middle = Math.ceil(settlements.length / 2)
      for (const half of [settlements.slice(0, middle), settlements.slice(middle)])
        await settleSurely({ settlements: half, aside: [] })
      return
    }
    const [settlement] = settlements
    try {
      const settled = settlement
        ? await options.settle({ settlements: [withoutResponse(settlement, error)], aside: [] })
        : null
      log.error('delivery.answer_not_stored', { ...factsOf(settlement), reason: describeError(error) })
      options.onSettled(what, settled)
    } catch (error) {
      // It is sent again after this process has ended.
      log.error('delivery.not_settled', { ...factsOf(settlement), reason: describeError(error) })
      options.onSettled(what, null)
    } finally {
      settlingSinceMs = null
    }
  }

  return { settleSurely, settlingSinceMs: () => settlingSinceMs }
}

const factsOf = (settlement: ToSettle['settlements'][number] | undefined) => ({
  webhook_id: settlement?.attempt.webhookId,
  event_id: settlement?.attempt.eventId == null ? undefined : String(settlement.attempt.eventId),
})
