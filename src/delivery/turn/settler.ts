import type { Settled, ToSettle } from '../../outbox/settle/settle.ts'
import { isOfData, withoutAnswer } from '../../outbox/settle/unstorable.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'

const most = 200
/** So many wait for no more company. */
const enough = 20
const longestRestMs = 20
const retryMs = 500

type SettlerOptions = {
  /** What there is by now of rows to be written, to go with the next commit. */
  takeRows: (most: number) => { readonly rows: ToSettle['aside']; readonly isAll: boolean }
  settle: (what: ToSettle) => Promise<Settled>
  log: Log
  clockMs: () => number
  onSettled: (what: ToSettle, settled: Settled | null) => void
}

/**
 * Commits what is to be settled: attempts that have ended, and what is set aside or superseded. What comes while one commit
 * is under way goes into the next, and so does what comes while the settler then rests, for as long as the commit took. So a
 * busy process shares commits, at half of the pace of the disk at the most, and an idle one waits for nothing. One commit at a
 * time: what is set aside is there before the settlement of what comes after it. While the database is away, everything waits here.
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
      // Whatever has become a row is settled as one: the rows come first.
      const { rows: aside, isAll } = options.takeRows(5 * most)
      const settlements = isAll ? attempts.splice(0, most) : []
      if (settlements.length + aside.length === 0) break
      if (attempts.length > 0 || !isAll) isWanted = true
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
    /** There are rows to be written. */
    wanted: start,
    settlingSinceMs,
    /** Stops trying: what is not settled by now is left to whoever takes over. */
    giveUp() {
      gaveUp.abort()
      wake()
    },
  }
}

/** Settles until that has committed, or is given up. What the database refuses for its data is settled apart from the rest. */
function createSurely(
  options: Pick<SettlerOptions, 'settle' | 'log' | 'clockMs' | 'onSettled'> & {
    gaveUp: AbortSignal
    onCommit: (startMs: number, endMs: number) => void
  },
) {
  const { log, clockMs, gaveUp } = options
  /** Since when what is being settled waits for its commit; null: nothing is. */
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

  /** What one of them brings must not keep the others from being settled: halves, down to the one that can't be stored as it is. */
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
        ? await options.settle({ settlements: [withoutAnswer(settlement, error)], aside: [] })
        : null
      log.error('delivery.answer_not_stored', { ...factsOf(settlement), reason: describeError(error) })
      options.onSettled(what, settled)
    } catch (error) {
      // It is sent again once this process has ended.
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
