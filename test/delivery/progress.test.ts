import { expect, test } from 'vitest'
import { openQueue, type Queue } from '../../src/delivery/stream/queue.ts'
import { createChoice } from '../../src/delivery/turn/progress.ts'
import { openIn, openWindow } from '../../src/domain/delivery/window.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'

/** A webhook that is behind, with something open in one share; `isSaved`: its row says less than that. */
function lagging(id: number, isSaved: boolean): Queue {
  const queue = openQueue({ id } as DeliverySettings)
  const window = openWindow(100n)
  openIn(window, 50n)
  queue.own = new Map([[3, { window, saved: isSaved ? { settledUpTo: 10n, maySendUpTo: 20n } : null }]])
  return queue
}

const idsOf = (capacity: ReturnType<ReturnType<typeof createChoice>>) =>
  capacity.map(({ position }) => position.webhookId)

test('events that left the main stream without a row are in each save', () => {
  const queues = new Set([lagging(1, true), lagging(2, false), lagging(3, true)])
  const [position] = createChoice()(queues, new Set(), 0)
  expect(position!.position).toMatchObject({ webhookId: 2, share: 3, settledUpTo: 49n })
  expect(idsOf(createChoice()(queues, new Set(), 0))).toEqual([2])
})

test('a save includes everything awaited; others take turns', () => {
  const queues = [1, 2, 3, 4, 5].map(id => lagging(id, true))
  const choose = createChoice()
  const all = new Set(queues)
  expect(idsOf(choose(all, new Set([queues[3]!]), 0))).toEqual([4])
  expect(idsOf(choose(all, new Set([queues[3]!]), 2))).toEqual([4, 1, 2])
  expect(idsOf(choose(all, new Set(), 2))).toEqual([3, 4])
  expect(idsOf(choose(all, new Set(), 2))).toEqual([5, 1])
  expect(idsOf(choose(all, new Set(), Number.POSITIVE_INFINITY)).toSorted()).toEqual([1, 2, 3, 4, 5])
})

test('unchanged positions are not saved again', () => {
  const queue = lagging(1, true)
  queue.own = new Map([[3, { window: openWindow(100n), saved: { settledUpTo: 100n, maySendUpTo: 100n } }]])
  expect(createChoice()(new Set([queue]), new Set([queue]), 10)).toEqual([])
})
