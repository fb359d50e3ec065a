import type { ActionType } from '../event/event.ts'
import type { TimeId } from '../value/time-id.ts'

/** One event that waits at a webhook. */
export type Waiting = {
  readonly eventId: TimeId
  readonly actionType: ActionType
  /** How often it was already tried. */
  readonly attempts: number
  /** Whether it is sent as `new` although it is an `update`. */
  readonly asNew: boolean
  /** Whether it was tried together with others, in a batch that is sent again as it was. */
  readonly isTogether: boolean
}

/** An event that is not sent, since `supersededBy` says all of it. */
export type Superseded = { readonly eventId: TimeId; readonly supersededBy: TimeId }

/**
 * Decides what a webhook that wants only the latest state is still sent of `waiting`, an entity's oldest events in their
 * order, none of which is in flight:
 *
 * - A newer event supersedes the older ones before it, back to a `delete`. A `delete` supersedes what came before
 *   it, and nothing supersedes a `delete`: so each one is sent.
 * - An `update` that supersedes a `new` is sent as `new`, also where the `new` was tried: whether it arrived is not
 *   known, and a `new` that comes twice does less harm than an `update` of what the receiver has never heard of.
 * - What was tried is sent again as it was. It is superseded by what is newer, but takes no other form itself: an
 *   older `new` that was put before a tried `update` (by hand) goes first, by itself.
 * - A batch that was tried is sent again as it was until it has arrived or is sent in parts: what is in it supersedes
 *   nothing, and is not superseded. What was tried alone is.
 *
 * What comes out is in order too: a receiver that accepts it one by one never goes back to an older state.
 */
export function keepLatest<T extends Waiting>(
  waiting: readonly T[],
): { readonly send: readonly T[]; readonly superseded: readonly Superseded[] } {
  const send: T[] = []
  const superseded: Superseded[] = []
  let run: TimeId[] = []

  function endRun() {
    const carrier = run.pop()
    if (carrier !== undefined) superseded.push(...run.map(eventId => ({ eventId, supersededBy: carrier })))
    run = []
  }

  for (const next of waiting) {
    const last = send.at(-1)
    const becomesNew = last !== undefined && isSentAsNew(last) && next.actionType === 'update'
    const changes = becomesNew && !next.asNew
    const isApart = last === undefined || last.isTogether || next.isTogether
    if (isApart || last.actionType === 'delete' || (changes && next.attempts > 0)) {
      endRun()
      send.push(next)
    } else send[send.length - 1] = changes ? { ...next, asNew: true } : next
    run.push(next.eventId)
  }
  endRun()
  return { send, superseded }
}

function isSentAsNew({ actionType, asNew }: Waiting): boolean {
  return actionType === 'new' || asNew
}
