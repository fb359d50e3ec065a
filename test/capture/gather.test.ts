import { expect, test } from 'vitest'
import { createEventIds, createGatherer, emptyGathered } from '../../src/capture/store/gather.ts'
import { createTruncations } from '../../src/capture/store/truncations.ts'
import type { WebhookEvent } from '../../src/domain/event/event.ts'

const at = { commitLsn: 5n, committedAt: new Date(0) }

/** Gathers batches of so many events with bodies of so many bytes. */
async function gatherAll(...batches: readonly { events: number; bytes?: number }[]) {
  const gathered = emptyGathered()
  const left = [...batches]
  const gather = createGatherer({
    async map() {
      const { events, bytes = 10 } = left.shift()!
      const list: WebhookEvent[] = Array.from({ length: events }, (_, index) => ({
        ...at,
        index,
        entityType: 'user',
        entityId: String(index),
        actionType: 'new',
        body: 'x'.repeat(bytes),
      }))
      return {
        events: list,
        parked: [],
        unreadable: [],
        truncated: [],
        emptied: [],
        fanOuts: [],
        readLsn: null,
      }
    },
    storedLsn: 0n,
    ids: createEventIds(0n, () => 1),
    pages: { observe() {}, take: () => null } as never,
    truncations: createTruncations(),
    nowMs: () => 1,
  })
  const part = { ...at, xid: 1, mark: null, changes: [] }
  for (const _ of batches)
    await gather(gathered, { kind: 'complete', parts: [part], confirmLsn: 6n, probe: null })
  return { kept: gathered.kept?.length ?? null, count: gathered.events.count() }
}

test.each([
  ['few', [{ events: 3 }, { events: 2 }], 5],
  ['as many as are kept', [{ events: 2_600 }, { events: 1_400 }], 4_000],
  ['one more', [{ events: 2_600 }, { events: 1_401 }], null],
  ['and what comes after that', [{ events: 4_001 }, { events: 1 }], null],
  ['large ones', [{ events: 15, bytes: 100_000 }], 15],
  ['too large ones', [{ events: 16, bytes: 100_000 }], null],
] as const)('events stay in memory only while they are few and small: %s', async (_, batches, kept) => {
  const count = batches.reduce((sum, { events }) => sum + events, 0)
  expect(await gatherAll(...batches)).toEqual({ kept, count })
})
