import { settledUpTo, type Window } from '../../domain/delivery/window.ts'
import { firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type OwnPlace, saveProgress } from '../../outbox/holders/streams.ts'
import type { Machine } from '../stream/machine.ts'
import { joinMain, type OwnStream, type Queue } from '../stream/queue.ts'
import { newestRead } from '../stream/streams.ts'

/**
 * A stream may be sent so far ahead of what it was read: in the time of ids. Longer than a commit takes, so that events that follow
 * each other wait for none; and short, since what is appended within it after a death waits with what was under way.
 */
export const aheadIds = firstIdAt(100)

/** About so many places of webhooks that are behind are saved at once, of those that do not wait for it. */
export const mostPlaces = 240

type Place = { readonly stream: OwnStream; readonly place: OwnPlace }

/**
 * Which places of webhooks that are behind go into a save, as far as they have changed:
 *
 * - all of one that has left the main stream and has no row in the table yet: the main stream's place passes what such a
 *   webhook has open, so both are in one commit, or whoever takes over takes the webhook for one that keeps up;
 * - all of one that waits for it;
 * - about `most` of the others, in turns, so that hundreds of webhooks make no save a large one: their places may be late.
 *   Not while a share is given up: whoever gets it reads on from its places, and would send again what is behind a late one.
 */
export function createChoice() {
  let turn = 0
  return (behind: ReadonlySet<Queue>, waiting: ReadonlySet<Queue>, most: number): Place[] => {
    const queues = [...behind]
    const isUrgent = (queue: Queue) => waiting.has(queue) || isUnsaved(queue)
    const places = queues.filter(isUrgent).flatMap(changedOf)
    let looked = 0
    for (let left = most; looked < queues.length && left > 0; looked++) {
      const queue = queues[(turn + looked) % queues.length]!
      const changed = isUrgent(queue) ? [] : changedOf(queue)
      places.push(...changed)
      left -= changed.length
    }
    turn = queues.length === 0 ? 0 : (turn + looked) % queues.length
    return places
  }
}

function isUnsaved({ own }: Queue): boolean {
  for (const { saved } of own?.values() ?? []) if (saved === null) return true
  return false
}

function changedOf(queue: Queue): Place[] {
  if (queue.isJoining) return []
  return [...queue.own!].flatMap(([share, stream]) => {
    const place = { webhookId: queue.id, share, ...placeOf(stream) }
    const { saved: before } = stream
    const isSame = before?.settledUpTo === place.settledUpTo && before.maySendUpTo === place.maySendUpTo
    return isSame ? [] : [{ stream, place }]
  })
}

/** How far one may send: as far as it was read, and a little on, so that what comes next need not wait for a commit. */
function placeOf({ window, saved }: OwnStream): { settledUpTo: TimeId; maySendUpTo: TimeId } {
  const settled = settledUpTo(window)
  const before = saved?.maySendUpTo ?? 0n
  const reach = window.open.size > 0 && window.readUpTo > before ? window.readUpTo + aheadIds : before
  return { settledUpTo: settled, maySendUpTo: reach > settled ? reach : settled }
}

/**
 * Writes down how far the streams of a holder have come. Only what has committed counts, so a place may be late, and never
 * early: between it and what may have been sent, the log of attempts says what arrived.
 */
export function createProgress(options: { outbox: Outbox; holderId: number; machine: Machine }) {
  const { outbox, holderId, machine } = options
  /** What the table says of the main streams. */
  const saved = new Map<number, TimeId>()

  /** Webhooks that can't be sent what they have until their places are saved. */
  const waiting = new Set<Queue>()
  const choose = createChoice()

  return {
    /** How far a task's stream may send: this much is committed. */
    ownReach: (queue: Queue, share: number): TimeId => queue.own?.get(share)?.saved?.maySendUpTo ?? -1n,

    /** The next save is to let a webhook go on. */
    wantReach: (queue: Queue) => void waiting.add(queue),

    /** Writes what has changed; of webhooks that are behind and do not wait for it about `most` places. Returns false where this process is no holder any more. */
    async save(most: number): Promise<boolean> {
      const main = [...machine.main]
        .map(([share, window]) => ({ share, settledUpTo: settledUpTo(window) }))
        .filter(({ share, settledUpTo }) => saved.get(share) !== settledUpTo)
      const own = choose(machine.behind, waiting, machine.leaving.size > 0 ? Number.POSITIVE_INFINITY : most)
      waiting.clear()
      const joining = [...machine.behind].filter(({ isJoining }) => isJoining)
      const gone = joining.flatMap(({ id, own }) => [...own!.keys()].map(share => ({ webhookId: id, share })))
      if (main.length + own.length + gone.length === 0) return true
      const isOurs = await saveProgress(outbox, {
        holderId,
        main,
        streams: own.map(({ place }) => place),
        gone,
      })
      if (!isOurs) return false
      for (const { share, settledUpTo } of main) saved.set(share, settledUpTo)
      for (const { stream, place } of own) stream.saved = place
      for (const queue of joining) {
        if (!queue.isJoining) continue
        machine.behind.delete(queue)
        joinMain(queue, machine.main)
        if (queue.ready.length > 0) machine.active.add(queue)
      }
      return true
    },

    /** What a share was is not known any more. */
    forget: (share: number) => void saved.delete(share),
  }
}

/** Whether nothing of a share is open at any webhook. */
export function isShareDone(machine: Machine, share: number): boolean {
  const isDone = (window: Window | undefined) => window === undefined || window.open.size === 0
  if (!isDone(machine.main.get(share))) return false
  for (const queue of machine.behind) if (!isDone(queue.own?.get(share)?.window)) return false
  return true
}

/** How far the main streams may be sent: a little further than what has been read, so that what comes next need not wait for a commit. */
export const reachOf = (machine: Machine): TimeId =>
  newestRead(machine) > 0n ? newestRead(machine) + aheadIds : 0n
