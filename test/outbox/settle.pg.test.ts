import { expect, test } from 'vitest'
import { openTestOutbox } from '../support/open-outbox.ts'
import { claim, retry, settle, settleAll, settlementOf } from '../support/sending.ts'
import { everyUser } from '../support/outbox-traffic.ts'

test('a delivered row leaves the queue, and the next one of its entity is due at once', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.append('user 1 update')
  await settleAll(at, webhook)
  const next = await claim(at, webhook)
  expect(next).toMatchObject([{ entityId: '1', actionType: 'update', attempts: 0 }])
  await settle(at, ...next.map(each => settlementOf(each, retry(60_000))))
  expect(await at.count('deliveries')).toBe(1)
})
