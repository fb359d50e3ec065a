import type { ActionType } from '../event/event.ts'
import type { TimeId } from '../value/time-id.ts'

/** A pending event of a webhook. */
export type Waiting = {
  readonly eventId: TimeId
  readonly actionType: ActionType
  /** Its attempts so far. */
  readonly attempts: number
  /** Whether it is sent as `new` although it is an `update`. */
  readonly asNew: boolean
  /** Whether its batch was attempted, and is sent again unchanged. */
  readonly isTogether: boolean
}

/** An event that is not sent, since `supersededBy` contains its state. */
export type Superseded = { readonly eventId: TimeId; readonly supersededBy: TimeId }

/**
 * What a webhook of mode `latest` is still sent of `waiting`: an entity's oldest events in order, none in flight.
 *
 * - A newer event supersedes the older ones back to a `delete`. A `delete` supersedes earlier events, and is always sent.
 * - An `update` that supersedes a `new` is sent as `new`, even if the `new` was attempted: a repeated `new` does less harm
 *   than an `update` of an unknown entity.
 * - An attempted event is sent again unchanged until a newer one supersedes it. An older `new` that was put before an
 *   attempted `update` by hand goes first, by itself.
 * - An attempted batch is sent again unchanged until it arrives or is split: its events neither supersede nor are superseded.
 *
 * The result is in order too: a receiver that accepts it one by one never returns to an older state.
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
    const turnsNew = last !== undefined && isSentAsNew(last) && next.actionType === 'update'
    const changes = turnsNew && !next.asNew
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
