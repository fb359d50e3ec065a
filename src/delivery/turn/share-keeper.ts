import { planShares } from '../../domain/delivery/share-plan.ts'
import { isUnsent } from '../../domain/delivery/task.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { Beat } from '../../outbox/holders/beats.ts'
import { claimShares, leave } from '../../outbox/holders/holders.ts'
import { readStreams } from '../../outbox/holders/streams.ts'
import { takeOver } from '../../outbox/settle/takeover.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Machine } from '../stream/machine.ts'
import { forgetUnsent, type Task, tasksOf } from '../stream/queue.ts'
import { readSettings } from '../stream/read-log.ts'
import { askForAside } from '../stream/read-rows.ts'
import { noteHead, type Reader } from '../stream/reader.ts'
import { acquire } from '../stream/streams.ts'
import { giveUp, setAside } from '../stream/tasks.ts'
import type { Membership } from './membership.ts'
import type { createProgress } from './progress.ts'

/** Keeps this process' part of the shares: its own, free ones, and those of dead holders. */
export function createShareKeeper(options: {
  outbox: Outbox
  membership: Membership
  machine: Machine
  reader: Reader
  progress: ReturnType<typeof createProgress>
  log: Log
  /** Requests another heartbeat: the last one was too early or too late. */
  wantBeat: () => void
}) {
  const { outbox, membership, machine, reader, log, wantBeat } = options
  const { holderId } = membership
  let isKeeping = false
  let isMissed = false
  let isStopping = false
  const reportBlocked = createBlockedNotice(log)

  async function balance({ holders, shares }: Beat): Promise<void> {
    const living = holders.filter(({ isLeaving }) => !isLeaving).map(({ id }) => id)
    const { claim, release } = planShares({ me: holderId, holders: living, shares })
    for (const share of release) if (machine.main.has(share)) beginRelease(machine, share, holderId)
    // Includes shares of an earlier claim whose answer was lost.
    const isMissing = ({ share }: { share: number }) => !machine.main.has(share)
    if (claim === 0 && !shares.some(each => each.holderId === holderId && isMissing(each))) return
    const claimed = (await claimShares(outbox, { holderId, max: claim })).filter(isMissing)
    if (claimed.length === 0) return
    const taken = claimed.map(({ share }) => share)
    // Positions of lagging webhooks come with the share, and each webhook has its queue.
    const own = await readStreams(outbox, taken)
    await readSettings(reader)
    // Before anything is read: a dead holder's requests block their entities.
    await askForAside(reader, taken)
    acquire(machine, claimed, own)
    log.info('delivery.shares', { held: machine.main.size })
  }

  return {
    /** Sends a heartbeat. False: this process is no longer a holder. */
    async beat(reach: TimeId, isIdle: boolean): Promise<boolean> {
      const heard = await membership.renew(reach, isIdle)
      if (!heard) return false
      noteHead(reader, heard.head)
      if (heard.webhooksVersion > machine.version) reader.wanted.settings = true
      void keep(heard)
      return true
    },

    releaseAll(): void {
      isStopping = true
      for (const share of machine.main.keys()) beginRelease(machine, share, holderId)
    },

    isStopping: () => isStopping,

    async leave() {
      await leave(outbox, { holderId })
      membership.endSession()
    },
  }

  async function keep(heard: Beat): Promise<void> {
    if (isStopping) return
    // A heartbeat during a claim does not include the claim: another one follows.
    isMissed = isKeeping
    if (isKeeping) return
    isKeeping = true
    try {
      for (const dead of membership.dead()) await takeOverDead(outbox, dead, log, reportBlocked)
      await balance(heard)
    } catch (error) {
      reader.wanted.taken = true
      log.error('delivery.shares_failed', { reason: describeError(error) })
    } finally {
      isKeeping = false
      if (isMissed) wantBeat()
    }
  }
}

async function takeOverDead(
  outbox: Outbox,
  { id, beat, silentMs, hasSession }: ReturnType<Membership['dead']>[number],
  log: Log,
  reportBlocked: ReturnType<typeof createBlockedNotice>,
): Promise<void> {
  const taken = await takeOver(outbox, { deadId: id, beat })
  if (taken.kind === 'needless') return
  if (taken.kind === 'blocked') return reportBlocked({ holder: id, silentMs, ...taken })
  log.warn('delivery.taken_over', {
    holder: id,
    shares: taken.shares,
    set_aside: taken.setAside,
    silent_ms: Math.round(silentMs),
    has_session: hasSession,
  })
}

/** Another process' takeover is over by then. */
const reportBlockedAfterMs = 15_000
const reportBlockedEveryMs = 30_000

/** Logs sessions that were ended for a takeover, and repeatedly those that it still waits for. */
export function createBlockedNotice(log: Log) {
  const nextMs = new Map<number, number>()
  return (blocked: {
    holder: number
    silentMs: number
    ended: readonly number[]
    waitedFor: readonly number[]
  }): void => {
    const { holder, silentMs, ended, waitedFor } = blocked
    if (ended.length === 0 && silentMs < (nextMs.get(holder) ?? reportBlockedAfterMs)) return
    nextMs.set(holder, silentMs + reportBlockedEveryMs)
    const pids = { ended_pids: ended, waits_for_pids: waitedFor }
    log.warn('delivery.takeover_blocked', { holder, ...pids, silent_ms: Math.round(silentMs) })
  }
}

/**
 * Begins to release a share: its unsent tasks are dropped, or become rows if later ones were sent; tasks in flight become
 * rows that this process settles. Other taken rows are returned.
 */
function beginRelease(machine: Machine, share: number, holderId: number): void {
  machine.leaving.add(share)
  const isOfIt = (task: Task) => task.delivery.share === share
  for (const queue of machine.queues.values()) {
    for (const task of tasksOf(queue))
      if (task.state === 'sending' && task.window && isOfIt(task) && !task.isRowComing)
        setAside(machine, queue, task, { dueInMs: 0, takenBy: holderId })
    for (const task of forgetUnsent(queue, isOfIt)) setAside(machine, queue, task, { dueInMs: null })
    for (const task of [...tasksOf(queue)])
      if (!task.window && isOfIt(task) && isUnsent(task.state)) giveUp(machine, queue, task)
  }
}
