import { expect, test } from 'vitest'
import {
  accept,
  acceptRow,
  finish,
  joinMain,
  leaveMain,
  openQueue,
  type Queue,
  tasksOf,
} from '../../src/delivery/stream/queue.ts'
import { openWindow, settledUpTo, type Window } from '../../src/domain/delivery/window.ts'
import { entityKey } from '../../src/domain/event/entity.ts'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'

const settings = { id: 7, mode: 'every', batch: null, withPrevious: false } as DeliverySettings
const event = (id: bigint, entityId: string) =>
  ({ id, share: 3, entityType: 'user', entityId, actionType: 'update', body: '{}' }) as LogEvent
const row = (eventId: bigint, entityId: string) =>
  ({ webhookId: 7, share: 3, entityType: 'user', entityId, eventId, body: '{}' }) as Delivery

const take = (queue: Queue, event: LogEvent, window: Window) =>
  accept(queue, event, { window, isMain: true, key: entityKey(event), sentAs: event.actionType }, 0)

test('a webhook that leaves and rejoins the main stream keeps its events, and rows stay rows', () => {
  const main = new Map([[3, openWindow(0n)]])
  const queue = openQueue(settings)
  const streamed = take(queue, event(5n, '1'), main.get(3)!)
  const taken = acceptRow(queue, row(2n, '2'), 0)
  const behindIt = take(queue, event(6n, '2'), main.get(3)!)
  main.get(3)!.readUpTo = 9n

  leaveMain(queue, main)
  const own = queue.own!.get(3)!.window
  expect([streamed.window, taken.window, behindIt.window]).toEqual([own, null, own])
  expect([settledUpTo(main.get(3)!), settledUpTo(own)]).toEqual([9n, 4n])

  joinMain(queue, main)
  expect([streamed.window, taken.window, behindIt.window]).toEqual([main.get(3), null, main.get(3)])
  expect([...queue.fromMain]).toEqual([streamed, behindIt])
  expect(settledUpTo(main.get(3)!)).toBe(4n)

  expect(finish(queue, taken)).toBe(behindIt)
  finish(queue, streamed)
  finish(queue, behindIt)
  expect([...tasksOf(queue)]).toEqual([])
  expect(settledUpTo(main.get(3)!)).toBe(9n)
})

test('a position is before every open event, also after a webhook joined with older ones', () => {
  const main = new Map([[3, openWindow(0n)]])
  const window = main.get(3)!
  const [joining, other] = [openQueue(settings), openQueue(settings)]
  take(joining, event(5n, '1'), window)
  take(joining, event(6n, '1'), window)
  take(other, event(7n, '2'), window)
  window.readUpTo = 9n
  joinMain(joining, main)
  expect(settledUpTo(window)).toBe(4n)
  leaveMain(joining, main)
  expect([settledUpTo(window), settledUpTo(joining.own!.get(3)!.window)]).toEqual([6n, 4n])
  joinMain(joining, main)
  expect(settledUpTo(window)).toBe(4n)
})
