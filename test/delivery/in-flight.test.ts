import { expect, test } from 'vitest'
import { createCapacity } from '../../src/delivery/sending/capacity.ts'
import { openQueue } from '../../src/delivery/stream/queue.ts'
import { createInFlight } from '../../src/delivery/turn/in-flight.ts'
import type { Shipment } from '../../src/outbox/aside/shipment.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'

const receiver = { url: 'https://crm.example.com/', isFailing: false }
const queue = openQueue({ id: 7, ...receiver } as DeliverySettings)
const shipment = { webhookId: 7, batchId: 3n, isAside: false, deliveries: [] } as unknown as Shipment
const sent = { queue, shipment, task: null }
const settlement = () => ({ shipment }) as unknown as Settlement

function end(capacity: ReturnType<typeof createCapacity>) {
  capacity.end(7, receiver.url, { reaction: 'late', startedAtMs: 0, retryAfterMs: null })
}

test('a former holder frees the capacity of requests that it could not settle, and of later ones', async () => {
  const capacity = createCapacity({ max: 10, total: 50, nowMs: () => 1_000 })
  const inFlight = createInFlight(capacity)
  for (let n = 0; n < 5; n++) inFlight.begin(sent)
  for (let n = 0; n < 4; n++) end(capacity)
  for (let n = 0; n < 4; n++) expect(inFlight.ended(sent, settlement())).toBe(true)
  expect(capacity.unsettled()).toBe(5)
  inFlight.over()
  expect(capacity.unsettled()).toBe(1)
  end(capacity)
  expect(inFlight.ended(sent, settlement())).toBe(false)
  expect(capacity.unsettled()).toBe(0)
})

test('the dispatcher is idle after its last settlement', async () => {
  const inFlight = createInFlight(createCapacity({ max: 10, total: 50, nowMs: () => 1_000 }))
  const of = settlement()
  inFlight.begin(sent)
  inFlight.ended(sent, of)
  const idle = inFlight.idleWithin(60_000)
  expect(inFlight.settled(of)).toBe(sent)
  expect(inFlight.settled(of)).toBeNull()
  await idle
  expect(inFlight.count()).toBe(0)
})
