import { expect, test } from 'vitest'
import { openMachine } from '../../src/delivery/stream/machine.ts'
import { checkAll } from '../../src/delivery/stream/periodic-checks.ts'
import { forgetUnsent, tasksOf } from '../../src/delivery/stream/queue.ts'
import { setSettings } from '../../src/delivery/stream/settings.ts'
import {
  acquire,
  leave,
  mainReadUpTo,
  openFromMain,
  takeMain,
  takeOwn,
  takeRows,
} from '../../src/delivery/stream/streams.ts'
import { checked, due, ended, setAside } from '../../src/delivery/stream/tasks.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'
import { createPatientClock } from '../../src/runtime/patient-clock.ts'

const state = { version: 1, isActive: true, triggers: ['user.update'], updateFields: null }
const settings = {
  ...{
    id: 7,
    tenant: null,
    url: 'https://crm.example.com/',
    mode: 'every',
    batch: null,
    withPrevious: false,
    isActive: true,
  },
  ...{ heldInMs: null, previousSecretEndsInMs: null, states: [state], skips: [] },
} as unknown as DeliverySettings
const event = (id: bigint, share: number) =>
  ({
    ...{ id, share, entityType: 'user', entityId: `${share} ${id}`, actionType: 'update', body: '{}' },
    ...{ changed: null, webhooksVersion: 1, onlyWebhookId: null, tenant: null, tenantBefore: null },
  }) as LogEvent

/** A process that serves share 3, read up to 100, with one webhook. */
function open() {
  const machine = openMachine(() => 0)
  setSettings(machine, { version: 1, webhooks: [settings], gone: [] })
  acquire(machine, [{ share: 3, settledUpTo: 0n }], [])
  takeMain(machine, { after: 0n, events: [event(10n, 3)], upTo: 100n }, 100)
  const queue = machine.queues.get(7)!
  return { machine, queue, ids: () => [...tasksOf(queue)].map(({ delivery }) => delivery.eventId) }
}

test('a page of the log does not cover a share that was acquired while it was read', () => {
  const { machine, ids } = open()
  acquire(machine, [{ share: 5, settledUpTo: 20n }], [])
  takeMain(machine, { after: 100n, events: [event(110n, 3), event(120n, 5)], upTo: 200n }, 100)
  expect(ids()).toEqual([10n, 110n])
  expect(machine.main.get(5)!.readUpTo).toBe(20n)
  takeMain(machine, { after: 20n, events: [event(30n, 5), event(110n, 3), event(120n, 5)], upTo: 200n }, 100)
  expect(ids()).toEqual([10n, 110n, 30n, 120n])
})

test('as much of a page is queued as fits, and the rest follows', () => {
  const machine = openMachine(() => 0)
  setSettings(machine, { version: 1, webhooks: [settings, { ...settings, id: 8 }], gone: [] })
  acquire(
    machine,
    [3, 5].map(share => ({ share, settledUpTo: 0n })),
    [],
  )
  const events = [event(10n, 3), event(20n, 5), event(30n, 3)]
  takeMain(machine, { after: 0n, events, upTo: 100n }, 3)
  expect([openFromMain(machine), mainReadUpTo(machine)]).toEqual([4, 20n])
  takeMain(machine, { after: 20n, events: events.slice(2), upTo: 100n }, 5)
  expect([openFromMain(machine), mainReadUpTo(machine)]).toEqual([6, 100n])
})

test('a page does not cover a share whose unsent events were dropped meanwhile', () => {
  const { machine, queue, ids } = open()
  forgetUnsent(queue)
  takeMain(machine, { after: 100n, events: [event(110n, 3)], upTo: 200n }, 100)
  expect(ids()).toEqual([])
  expect(machine.main.get(3)!.readUpTo).toBe(9n)
})

test('a page for one webhook covers the requested shares only', () => {
  const { machine, queue, ids } = open()
  leave(machine, queue)
  acquire(machine, [{ share: 5, settledUpTo: 150n }], [])
  takeOwn(machine, queue, { after: 100n, events: [event(110n, 3)], upTo: 200n, shares: [3] }, true)
  expect(ids()).toEqual([10n, 110n])
  expect(queue.own!.get(3)!.window.readUpTo).toBe(200n)
  expect(queue.own!.get(5)!.window.readUpTo).toBe(150n)
})

test('an event that is already a row is not read again, because it would be sent twice', () => {
  const { machine, queue, ids } = open()
  takeMain(machine, { after: 100n, events: [event(110n, 3), event(120n, 3)], upTo: 200n }, 100)
  const [, second] = [...tasksOf(queue)]
  setAside(machine, queue, second!, { dueInMs: null })
  ended(machine, queue, second!, true)
  forgetUnsent(queue)
  // The newer one is forgotten, the older one can't be: what lies between would be read again.
  expect(ids()).toEqual([10n])
  expect(machine.main.get(3)!.readUpTo).toBe(119n)
})

test('a manual row is returned if the event before it fails', () => {
  const { machine, queue, ids } = open()
  const [first] = tasksOf(queue)
  first!.state = 'sending'
  takeRows(machine, queue, [{ ...first!.delivery, eventId: 20n }])
  expect(ids()).toEqual([10n, 20n])
  ended(machine, queue, first!, true)
  expect(machine.toGiveBack.map(({ eventId }) => eventId)).toEqual([20n])
  expect(ids()).toEqual([])
  expect(machine.active.size === 0 || queue.ready.every(({ state }) => state !== 'ready')).toBe(true)
})

test('a manual row is returned if the event before it is set aside', () => {
  const { machine, queue, ids } = open()
  const [first] = tasksOf(queue)
  first!.state = 'checking'
  takeRows(machine, queue, [{ ...first!.delivery, eventId: 20n }])
  checked(machine, queue, first!, true)
  expect(machine.toGiveBack.map(({ eventId }) => eventId)).toEqual([20n])
  expect(ids()).toEqual([10n])
  expect(first!.state).toBe('setting aside')
})

test('a row is sent although newer events of its entity are always becoming rows, and these stay in order', () => {
  const { machine, queue, ids } = open()
  const key = { entityId: '3 10' }
  const [first] = tasksOf(queue)
  first!.state = 'checking'
  queue.ready.length = 0
  checked(machine, queue, first!, true)
  // Read before the row of the first is committed.
  takeMain(machine, { after: 100n, events: [{ ...event(110n, 3), ...key }], upTo: 200n }, 100)
  takeRows(machine, queue, [{ ...first!.delivery, eventId: 5n }])
  expect([...tasksOf(queue)].map(({ state }) => state)).toEqual(['ready', 'setting aside', 'setting aside'])
  takeMain(machine, { after: 200n, events: [{ ...event(210n, 3), ...key }], upTo: 300n }, 100)
  expect(ids()).toEqual([5n, 10n, 110n, 210n])
  expect(machine.toSetAside.map(({ row }) => row.eventId)).toEqual([10n, 110n, 210n])
  ended(machine, queue, first!, true)
  const [row] = tasksOf(queue)
  expect(queue.ready).toEqual([row])
  expect(machine.toGiveBack).toEqual([])
})

test('a row waits for an older event of its entity that is becoming a row', () => {
  const { machine, queue, ids } = open()
  const [first] = tasksOf(queue)
  first!.state = 'checking'
  queue.ready.length = 0
  checked(machine, queue, first!, true)
  takeRows(machine, queue, [{ ...first!.delivery, eventId: 20n }])
  expect(ids()).toEqual([10n, 20n])
  expect(queue.ready).toEqual([])
})

test("an event of a stream queues behind its entity's rows if one of them is in memory", () => {
  const { machine, queue, ids } = open()
  const [first] = tasksOf(queue)
  const key = { entityId: '3 10' }
  ended(machine, queue, first!, false)
  takeRows(machine, queue, [{ ...first!.delivery, eventId: 50n }])
  due(machine, queue, 0)
  takeMain(machine, { after: 100n, events: [{ ...event(110n, 3), ...key }, event(120n, 3)], upTo: 200n }, 100)
  expect(ids()).toEqual([50n, 110n, 120n])
  expect(machine.toSetAside.map(({ row }) => row.eventId)).toEqual([110n])
})

test.each([
  ['waits for the capacity of the process', {}, true, 60_000, false],
  ['waits for its own pace', {}, false, 1_000, true],
  ['is read just now', {}, false, 999, false],
  ['is being sent for a moment', { state: 'sending', sentMs: 59_500 }, false, 60_000, false],
  ['is being sent for a second', { state: 'sending', sentMs: 59_000 }, true, 60_000, true],
  ['is settled after a moment', { state: 'settling', sentMs: 59_500 }, false, 60_000, false],
  [
    'is being settled for long: the outbox is slow, not the receiver',
    { state: 'settling' },
    true,
    60_000,
    false,
  ],
  ['waits for a row', { state: 'behind' }, true, 1_000, true],
] as const)(
  'a webhook whose oldest event %s leaves the main stream or not',
  (_, task, waits, nowMs, leaves) => {
    const { machine, queue } = open()
    Object.assign([...tasksOf(queue)][0]!, task)
    checkAll(machine, {
      nowMs,
      patientMs: nowMs,
      holderId: 1,
      freeCapacity: () => 1,
      waitsForCapacity: () => waits,
    })
    expect(machine.lagging.has(queue)).toBe(leaves)
  },
)

test('without enough CPU no webhook counts as slow, and a hanging one is found once checks run in time', () => {
  let clockMs = 0
  const patience = createPatientClock(() => clockMs)
  const machine = openMachine(() => clockMs, patience.nowMs)
  setSettings(machine, { version: 1, webhooks: [settings], gone: [] })
  acquire(machine, [{ share: 3, settledUpTo: 0n }], [])
  takeMain(machine, { after: 0n, events: [event(10n, 3)], upTo: 100n }, 100)
  const queue = machine.queues.get(7)!
  Object.assign([...tasksOf(queue)][0]!, { state: 'sending', sentMs: machine.patientMs() })
  /** The next check, 100 ms later and then so late. */
  const check = (lateMs: number) => {
    clockMs += 100 + lateMs
    patience.late(lateMs)
    const times = { nowMs: clockMs, patientMs: patience.nowMs() }
    checkAll(machine, { ...times, holderId: 1, freeCapacity: () => 1, waitsForCapacity: () => true })
    return machine.lagging.has(queue)
  }
  for (let i = 0; i < 9; i++) expect(check(900)).toBe(false)
  expect(check(0)).toBe(true)
})

test('idle webhooks cost nothing in a check', () => {
  const { machine, queue } = open()
  const webhooks = Array.from({ length: 1_000 }, (_, i) => ({ ...settings, id: 100 + i, states: [] }))
  setSettings(machine, { version: 2, webhooks, gone: [] })
  const look = () =>
    checkAll(machine, {
      nowMs: 0,
      patientMs: 0,
      holderId: 1,
      freeCapacity: () => 1,
      waitsForCapacity: () => false,
    })
  expect(look().isQuiet).toBe(false)
  expect([...machine.working]).toEqual([queue])
  for (const task of [...tasksOf(queue)]) ended(machine, queue, task, false)
  queue.ready.length = 0
  expect(look().isQuiet).toBe(true)
  expect(machine.working.size).toBe(0)
})

test('a webhook gets its turn at the next check after its pause', () => {
  const { machine, queue } = open()
  expect(queue.ready.length).toBe(1)
  machine.active.clear()
  checkAll(machine, {
    nowMs: 0,
    patientMs: 0,
    holderId: 1,
    freeCapacity: () => 1,
    waitsForCapacity: () => false,
  })
  expect([...machine.active]).toEqual([queue])
})
