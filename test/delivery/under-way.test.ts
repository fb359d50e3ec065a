import { expect, test } from 'vitest'
import { createCapacity } from '../../src/delivery/sending/capacity.ts'
import { openQueue } from '../../src/delivery/stream/queue.ts'
import { createUnderWay } from '../../src/delivery/turn/under-way.ts'
import type { Shipment } from '../../src/outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'

const receiver = { url: 'https://crm.example.com/', isFailing: false }
const queue = openQueue({ id: 7, ...receiver } as DeliverySettings)
const shipment = { webhookId: 7, batchId: 3n, isAside: false, deliveries: [] } as unknown as Shipment
const sent = { queue, shipment, task: null }
const settlement = () => ({ shipment }) as unknown as Settlement

function end(capacity: ReturnType<typeof createCapacity>) {
  capacity.end(7, receiver.url, { answer: 'late', startedAtMs: 0, retryAfterMs: null })
}

test('a holder that is none any more gives back the places of what it could not settle, and of what ends later', async () => {
  const capacity = createCapacity({ most: 10, total: 50, nowMs: () => 1_000 })
  const underWay = createUnderWay(capacity)
  for (let n = 0; n < 5; n++) underWay.begin(sent)
  for (let n = 0; n < 4; n++) end(capacity)
  for (let n = 0; n < 4; n++) expect(underWay.ended(sent, settlement())).toBe(true)
  expect(capacity.unsettled()).toBe(5)
  underWay.over()
  expect(capacity.unsettled()).toBe(1)
  end(capacity)
  expect(underWay.ended(sent, settlement())).toBe(false)
  expect(capacity.unsettled()).toBe(0)
})

test('it is idle as soon as the last settlement is over', async () => {
  const underWay = createUnderWay(createCapacity({ most: 10, total: 50, nowMs: () => 1_000 }))
  const of = settlement()
  underWay.begin(sent)
  underWay.ended(sent, of)
  const idle = underWay.idleWithin(60_000)
  expect(underWay.settled(of)).toBe(sent)
  expect(underWay.settled(of)).toBeNull()
  await idle
  expect(underWay.count()).toBe(0)
})
