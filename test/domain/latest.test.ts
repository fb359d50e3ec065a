import { expect, test } from 'vitest'
import { keepLatest, type Waiting } from '../../src/domain/delivery/latest.ts'
import type { ActionType } from '../../src/domain/event/event.ts'

/** `3 update` waits, `3 update!` was tried, `3 update!!` in a batch with others, `3 update as new` is an update that is sent as `new`. */
function parse(line: string): Waiting {
  const [, id, actionType, tried, form] = /^(\d+) (\w+?)(!{0,2})( as new)?$/.exec(line)!
  return {
    eventId: BigInt(id!),
    actionType: actionType as ActionType,
    attempts: tried === '' ? 0 : 1,
    asNew: form !== undefined,
    isTogether: tried === '!!',
  }
}
const format = ({ eventId, actionType, attempts, isTogether, asNew }: Waiting) =>
  `${eventId} ${actionType}${attempts > 0 ? '!' : ''}${isTogether ? '!' : ''}${asNew ? ' as new' : ''}`

test.each<[waiting: string[], send: string[], superseded: string[]]>([
  [[], [], []],
  [['1 new'], ['1 new'], []],
  [['1 update', '2 update', '3 update'], ['3 update'], ['1 by 3', '2 by 3']],
  // The receiver has not had it.
  [['1 new', '2 update'], ['2 update as new'], ['1 by 2']],
  [['1 new', '2 update', '3 update'], ['3 update as new'], ['1 by 3', '2 by 3']],
  // Whether it has had it is not known.
  [['1 new!', '2 update'], ['2 update as new'], ['1 by 2']],
  [['2 update! as new', '3 update'], ['3 update as new'], ['2 by 3']],
  [['1 update!', '2 update'], ['2 update'], ['1 by 2']],
  // A delete is a wall, and says all of what came before it.
  [['1 delete'], ['1 delete'], []],
  [['1 new', '2 update', '3 delete'], ['3 delete'], ['1 by 3', '2 by 3']],
  [['1 delete', '2 new', '3 update'], ['1 delete', '3 update as new'], ['2 by 3']],
  [
    ['1 update', '2 delete', '3 new', '4 delete'],
    ['2 delete', '4 delete'],
    ['1 by 2', '3 by 4'],
  ],
  [['1 delete!', '2 update', '3 update'], ['1 delete!', '3 update'], ['2 by 3']],
  // Where the webhook is not told of deletes, a new entity may follow directly.
  [['1 update', '2 new'], ['2 new'], ['1 by 2']],
  [['1 new', '2 new', '3 update'], ['3 update as new'], ['1 by 3', '2 by 3']],
  // What was tried takes no other form: only by hand does an older one come before it.
  [['1 new', '2 update!'], ['1 new', '2 update!'], []],
  [['1 new', '2 update', '3 update!'], ['2 update as new', '3 update!'], ['1 by 2']],
  [['1 new', '2 update! as new'], ['2 update! as new'], ['1 by 2']],
  [['1 update', '2 update!'], ['2 update!'], ['1 by 2']],
  // A batch that was tried stays as it was.
  [['1 update!!', '2 update', '3 update'], ['1 update!!', '3 update'], ['2 by 3']],
  [['1 new!!', '2 update'], ['1 new!!', '2 update'], []],
  [['1 delete!!', '2 new!!', '3 update'], ['1 delete!!', '2 new!!', '3 update'], []],
])('the queue %j sends %j and supersedes %j', (waiting, send, superseded) => {
  const plan = keepLatest(waiting.map(parse))
  expect(plan.send.map(format)).toEqual(send)
  expect(plan.superseded.map(({ eventId, supersededBy }) => `${eventId} by ${supersededBy}`)).toEqual(
    superseded,
  )
})

/** Reproducible: a failure names its seed. https://en.wikipedia.org/wiki/Linear_congruential_generator */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/**
 * One entity's life, told to a receiver that answers well, refuses, accepts without our hearing of it, or whose
 * sender is killed before or after the request. Everything is sent by what `keepLatest` says.
 */
function tell(seed: number) {
  const random = randomFrom(seed)
  let queue: Waiting[] = []
  let isThere = false
  let nextId = 1n
  const deletes = new Set<bigint>()
  const receiver = { has: null as bigint | null, knows: false, accepted: 0n }
  const forms = new Map<bigint, string>()
  const problems: string[] = []

  function append() {
    const actionType = !isThere ? 'new' : random(4) === 0 ? 'delete' : 'update'
    isThere = actionType !== 'delete'
    if (actionType === 'delete') deletes.add(nextId)
    queue.push({ eventId: nextId++, actionType, attempts: 0, asNew: false, isTogether: false })
  }

  function arrive({ eventId, actionType, asNew }: Waiting) {
    const form = asNew ? 'new' : actionType
    if (eventId < receiver.accepted) problems.push(`${eventId} after ${receiver.accepted} was accepted`)
    if (form === 'update' && !receiver.knows) problems.push(`${eventId} updates what was never told`)
    if (forms.get(eventId) !== undefined && forms.get(eventId) !== form)
      problems.push(`${eventId} changed its form`)
    forms.set(eventId, form)
    receiver.has = form === 'delete' ? null : eventId
    receiver.knows = form !== 'delete'
  }

  function attempt(mayFail: boolean) {
    // The queue may be too long to be looked at as a whole: then nothing is sent before it was.
    const looked = 2 + random(4)
    const { send } = keepLatest(queue.slice(0, looked))
    const isMore = queue.length >= looked && send.length === 1 && send[0]!.actionType !== 'delete'
    queue = [...send, ...queue.slice(looked)]
    const [first] = queue
    if (!first || isMore) return
    const fate = mayFail ? random(5) : 0
    if (fate === 1) queue[0] = { ...first, attempts: first.attempts + 1 } // refused, not received
    if (fate === 3) return // killed before the request
    if (fate !== 1) arrive(first)
    if (fate === 2) queue[0] = { ...first, attempts: first.attempts + 1 } // the answer was lost
    if (fate === 0) {
      queue.shift()
      receiver.accepted = first.eventId
      deletes.delete(first.eventId)
    }
  }

  const newest = () => (isThere ? nextId - 1n : null)
  for (let step = 0; step < 60; step++) random(2) === 0 ? append() : attempt(true)
  while (queue.length > 0) attempt(false)
  return { receiver, problems, deletes, newest: newest() }
}

test('with any changes and failures, a receiver ends with the latest state, gets every delete and never an older state', () => {
  for (let seed = 1; seed <= 5_000; seed++) {
    const { receiver, problems, deletes, newest } = tell(seed)
    expect({ seed, problems, has: receiver.has, deletes: deletes.size }).toEqual({
      seed,
      problems: [],
      has: newest,
      deletes: 0,
    })
  }
})
