import { settledUpTo, type Window } from '../../domain/delivery/window.ts'
import { firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type OwnPosition, saveProgress } from '../../outbox/holders/streams.ts'
import type { Machine } from '../stream/machine.ts'
import { joinMain, type OwnStream, type Queue } from '../stream/queue.ts'
import { newestRead } from '../stream/streams.ts'

/**
 * How far a stream may send beyond its read position, in id time. Longer than a commit takes, so that consecutive events need
 * not wait; short, since events appended within it after a crash wait with those in flight.
 */
export const reachIds = firstIdAt(100)

/** The approximate maximum of positions per save, for lagging webhooks without urgency. */
export const maxPositions = 240

type ChangedPosition = { readonly stream: OwnStream; readonly position: OwnPosition }

/**
 * Which changed positions of lagging webhooks to save:
 *
 * - all of one that has just left the main stream: its position passes the webhook's open events, so both commit together; a
 *   takeover would otherwise assume that the webhook keeps up
 * - all of one that waits for it
 * - about `max` of the others, in turns, so that hundreds of webhooks do not make saves large. Late positions are safe,
 *   except while a share is released: its next holder would send again
 */
export function createChoice() {
  let turn = 0
  return (lagging: ReadonlySet<Queue>, waiting: ReadonlySet<Queue>, max: number): ChangedPosition[] => {
    const queues = [...lagging]
    const isUrgent = (queue: Queue) => waiting.has(queue) || isUnsaved(queue)
    const capacity = queues.filter(isUrgent).flatMap(changedOf)
    let looked = 0
    for (let left = max; looked < queues.length && left > 0; looked++) {
      const queue = queues[(turn + looked) % queues.length]!
      const changed = isUrgent(queue) ? [] : changedOf(queue)
      capacity.push(...changed)
      left -= changed.length
    }
    turn = queues.length === 0 ? 0 : (turn + looked) % queues.length
    return capacity
  }
}

function isUnsaved({ own }: Queue): boolean {
  for (const { saved } of own?.values() ?? []) if (saved === null) return true
  return false
}

function changedOf(queue: Queue): ChangedPosition[] {
  if (queue.isJoining) return []
  return [...queue.own!].flatMap(([share, stream]) => {
    const position = { webhookId: queue.id, share, ...positionOf(stream) }
    const { saved: before } = stream
    const isSame = before?.settledUpTo === position.settledUpTo && before.maySendUpTo === position.maySendUpTo
    return isSame ? [] : [{ stream, position }]
  })
}

/** A stream's positions, with a reach slightly beyond what was read. */
function positionOf({ window, saved }: OwnStream): { settledUpTo: TimeId; maySendUpTo: TimeId } {
  const settled = settledUpTo(window)
  const before = saved?.maySendUpTo ?? 0n
  const reach = window.open.size > 0 && window.readUpTo > before ? window.readUpTo + reachIds : before
  return { settledUpTo: settled, maySendUpTo: reach > settled ? reach : settled }
}

/**
 * Saves a holder's stream positions. Only committed ones count, so they are late, never early: between a position and what
 * may have been sent, the log of attempts shows what arrived.
 */
export function createProgress(options: { outbox: Outbox; holderId: number; machine: Machine }) {
  const { outbox, holderId, machine } = options
  /** The saved positions of the main streams. */
  const saved = new Map<number, TimeId>()

  /** Webhooks that can't send until their positions are saved. */
  const waiting = new Set<Queue>()
  const choose = createChoice()

  return {
    /** The committed reach of a task's stream. */
    ownReach: (queue: Queue, share: number): TimeId => queue.own?.get(share)?.saved?.maySendUpTo ?? -1n,

    /** Requests a save for a webhook. */
    wantReach: (queue: Queue) => void waiting.add(queue),

    /** Saves changed positions; of lagging webhooks without urgency about `max`. */
    async save(max: number): Promise<'saved' | 'nothing to save' | 'fenced'> {
      const main = [...machine.main]
        .map(([share, window]) => ({ share, settledUpTo: settledUpTo(window) }))
        .filter(({ share, settledUpTo }) => saved.get(share) !== settledUpTo)
      const own = choose(machine.lagging, waiting, machine.leaving.size > 0 ? Number.POSITIVE_INFINITY : max)
      waiting.clear()
      const joining = [...machine.lagging].filter(({ isJoining }) => isJoining)
      const gone = joining.flatMap(({ id, own }) => [...own!.keys()].map(share => ({ webhookId: id, share })))
      if (main.length + own.length + gone.length === 0) return 'nothing to save'
      const isOurs = await saveProgress(outbox, {
        holderId,
        main,
        streams: own.map(({ position }) => position),
        gone,
      })
      if (!isOurs) return 'fenced'
      for (const { share, settledUpTo } of main) saved.set(share, settledUpTo)
      for (const { stream, position } of own) stream.saved = position
      for (const queue of joining) {
        if (!queue.isJoining) continue
        machine.lagging.delete(queue)
        joinMain(queue, machine.main)
        machine.working.add(queue)
        if (queue.ready.length > 0) machine.active.add(queue)
      }
      return 'saved'
    },

    forget: (share: number) => void saved.delete(share),
  }
}

/** Whether no webhook has anything of a share open. */
export function isShareDone(machine: Machine, share: number): boolean {
  const isDone = (window: Window | undefined) => window === undefined || window.open.size === 0
  if (!isDone(machine.main.get(share))) return false
  for (const queue of machine.lagging) if (!isDone(queue.own?.get(share)?.window)) return false
  return true
}

/** How far the main streams may send: slightly beyond what was read, so that the next events need not wait for a commit. */
export const reachOf = (machine: Machine): TimeId =>
  newestRead(machine) > 0n ? newestRead(machine) + reachIds : 0n
