import { expect, test } from 'vitest'
import { openMachine } from '../../src/delivery/stream/machine.ts'
import { openQueue } from '../../src/delivery/stream/queue.ts'
import { leave } from '../../src/delivery/stream/streams.ts'
import { createProgress } from '../../src/delivery/turn/progress.ts'
import { openIn, openWindow } from '../../src/domain/delivery/window.ts'
import type { DeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { readStreams } from '../../src/outbox/holders/streams.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'
import { holderOf } from '../support/sending.ts'

/** A holder with two webhooks that are behind in share 3, read up to 100 and saved at 10, of which nothing waits for a save. */
async function open() {
  const at = await openTestOutbox()
  const ids = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const machine = openMachine(() => 0)
  const progress = createProgress({ outbox: at.outbox, holderId: await holderOf(at), machine })
  machine.main.set(3, openWindow(10n))
  for (const id of ids) {
    const queue = openQueue({ id } as DeliverySettings)
    machine.queues.set(id, queue)
    leave(machine, queue)
  }
  await progress.save(0)
  for (const queue of machine.lagging) queue.own!.get(3)!.window.readUpTo = 100n
  return {
    ids,
    machine,
    progress,
    capacity: async () =>
      (await readStreams(at.outbox, [3]))
        .toSorted((a, b) => a.webhookId - b.webhookId)
        .map(({ settledUpTo }) => settledUpTo),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  }
}

test('a saved position may be late, except before its share is handed over', async () => {
  await using at = await open()
  await at.progress.save(0)
  expect(await at.capacity()).toEqual([10n, 10n])
  at.machine.leaving.add(3)
  await at.progress.save(0)
  expect(await at.capacity()).toEqual([100n, 100n])
})

test("the main stream passes a leaving webhook's events in the commit that stores its position", async () => {
  await using at = await open()
  const slow = openQueue({ id: at.ids[0]! } as DeliverySettings)
  const main = at.machine.main.get(3)!
  openIn(main, 40n)
  main.readUpTo = 100n
  at.machine.lagging.clear()
  leave(at.machine, slow)
  openIn(slow.own!.get(3)!.window, 40n)
  main.open.clear()
  await at.progress.save(0)
  expect((await at.capacity())[0]).toBe(39n)
})
