import { expect, test } from 'vitest'
import { setAside } from '../../src/outbox/aside.ts'
import { transaction } from '../../src/outbox/database.ts'
import { beat, claimShares, join } from '../../src/outbox/holders.ts'
import { saveProgress } from '../../src/outbox/streams.ts'
import { takeOver } from '../../src/outbox/takeover.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'

test('a holder that is gone: what it may have sent is set aside until nothing of it is under way, what is beyond goes on', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const { holderId } = await join(at.outbox, { aliveMs: 60_000 })
  await claimShares(at.outbox, { holderId, most: 12 })
  const [, second, third] = await at.append('user 1 new', 'user 2 new', 'user 1 update')
  const upTo = third!
  const told = await beat(at.outbox, { holderId, aliveMs: 60_000, maySendUpTo: upTo })
  await at.append('user 1 update', 'user 3 new')
  expect(await takeOver(at.outbox, { deadId: holderId, beat: 0n })).toBe(null)
  expect(await takeOver(at.outbox, { deadId: holderId, beat: 1n })).toMatchObject({ setAside: 3 })
  expect(told?.holders).toEqual([{ id: holderId, beat: 0n }])
  const { rows } = await at.outbox.pool.query(
    `select entity_id, event_id, due_at = 'infinity' as is_behind from walhook.deliveries order by event_id`,
  )
  expect(rows).toMatchObject([
    { entity_id: '1', is_behind: false },
    { entity_id: '2', event_id: second, is_behind: false },
    { entity_id: '1', event_id: third, is_behind: true },
  ])
  expect(await at.count('holders')).toBe(0)
  expect(await at.count('shares', `holder_id is null and settled_up_to = ${upTo}`)).toBe(12)
  expect(
    await saveProgress(at.outbox, { holderId, main: [], maySendUpTo: null, streams: [], gone: [] }),
  ).toBe(false)
  void [setAside, transaction, webhook]
})
