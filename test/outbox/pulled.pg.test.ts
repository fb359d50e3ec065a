import { expect, test } from 'vitest'
import { claimBatches } from '../../src/outbox/aside/batches.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import { saveProgress } from '../../src/outbox/holders/streams.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { allShares, holderOf, pull, resend, settle, settlementOf } from '../support/sending.ts'
import { leaveBehind } from '../support/waiting.ts'

const batch = { maxEvents: 10, maxWaitMs: 0 }
const triggers = ['user.new', 'user.update', 'user.delete']

/** What a holder takes now, and when it is to look again. */
async function take(at: TestOutbox, webhookId: number, kind: 'rows' | 'batches') {
  const input = { holderId: await holderOf(at), webhookId, shares: allShares, limit: 10 }
  if (kind === 'rows') {
    const { deliveries, nextDueInMs } = await pickDue(at.outbox, input)
    return { ids: deliveries.map(({ eventId }) => eventId), deliveries, againInMs: nextDueInMs }
  }
  const more = { batch, mode: 'every' as const, readUpTo: () => 0n }
  const { shipments, checkAgainInMs, fresh } = await claimBatches(at.outbox, { ...input, ...more })
  // Else its stream would read no further.
  if (shipments.length === 0) expect(fresh).toBe(0)
  const deliveries = shipments.flatMap(each => each.deliveries)
  return { ids: deliveries.map(({ eventId }) => eventId), deliveries, againInMs: checkAgainInMs }
}

/** A webhook whose stream may have sent the first of three events of an entity, and no more; the last was asked for by hand. */
async function open(kind: 'rows' | 'batches') {
  const at = await openTestOutbox()
  const holderId = await holderOf(at)
  const webhookId = await at.webhook(triggers, true, kind === 'batches' ? { batch } : {})
  await leaveBehind(at, webhookId, 1)
  const lines = ['user 7 new', 'user 7 update', 'user 7 update', 'user 7 delete', 'user 8 new']
  const [passed, first, second, third, other] = await at.append(...lines)
  const streams = allShares.map(share => ({
    ...{ webhookId, share },
    ...{ settledUpTo: passed!, maySendUpTo: first! },
  }))
  expect(await saveProgress(at.outbox, { holderId, main: [], streams, gone: [] })).toBe(true)
  expect(await resend(at, { webhookId, eventId: third! })).toMatchObject({ state: 'queued', behind: first })
  return { at, webhookId, passed: passed!, first: first!, second: second!, third: third!, other: other! }
}

test.each(['rows', 'batches'] as const)(
  'an event taken out of the log waits until the older one in its stream is a row (%s)',
  async kind => {
    const { at, webhookId, first, second, third, other } = await open(kind)
    await using _ = at
    expect(await take(at, webhookId, kind)).toEqual({ ids: [], deliveries: [], againInMs: 50 })
    // What has nothing to do with it does not wait.
    expect(await resend(at, { webhookId, eventId: other })).toMatchObject({ state: 'queued', behind: null })
    expect(await take(at, webhookId, kind)).toMatchObject({ ids: [other] })
    await pull(at, webhookId)
    const { ids, deliveries } = await take(at, webhookId, kind)
    const ofEntity = ids.filter(id => [first, second, third].includes(id))
    if (kind === 'batches') return expect(ofEntity).toEqual([first, second, third])
    expect(ofEntity).toEqual([first])
    await settle(at, ...deliveries.map(each => settlementOf(each)))
    expect(await take(at, webhookId, kind)).toMatchObject({ ids: [second] })
  },
)

test.each(['rows', 'batches'] as const)(
  'an event taken out of the log waits until its stream has delivered the older one (%s)',
  async kind => {
    const { at, webhookId, first, second, third } = await open(kind)
    await using _ = at
    expect(await take(at, webhookId, kind)).toMatchObject({ ids: [] })
    const [delivery] = (
      await at.outbox.pool.query('select * from walhook.events where id = $1', [first])
    ).rows.map(row => ({
      ...{
        webhookId,
        share: row.share,
        entityType: row.entity_type,
        entityId: row.entity_id,
        eventId: first,
      },
      ...{
        attempts: 0,
        isManual: false,
        actionType: 'new' as const,
        asNew: false,
        asDelete: false,
        withPrevious: false,
      },
      body: row.body,
    }))
    const settlement = settlementOf(delivery!)
    await settle(at, { ...settlement, shipment: { ...settlement.shipment, isAside: false } })
    const { ids } = await take(at, webhookId, kind)
    expect(ids).toEqual(kind === 'batches' ? [second, third] : [second])
  },
)

test('an event taken out of the log is in no batch before the older ones of its stream', async () => {
  const { at, webhookId, passed } = await open('batches')
  await using _ = at
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select $1, share, entity_type, entity_id, id, now() from walhook.events where id = $2`,
    [webhookId, passed],
  )
  expect(await take(at, webhookId, 'batches')).toMatchObject({ ids: [passed] })
})
