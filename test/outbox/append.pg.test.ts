import { expect, test } from 'vitest'
import { transaction } from '../../src/outbox/database/database.ts'
import { append, PositionMoved, wakeChannel } from '../../src/outbox/log/append.ts'
import { readPosition } from '../../src/outbox/log/position.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { connect } from '../support/connect.ts'
import { openTestOutbox, slotName } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

test('an append writes its events and the position, and no rows per webhook', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  await at.append('user 1 new', 'company 1 new')
  await append(at.outbox.pool, { ...at.nextAppend('user 2 new'), onlyWebhookId: id })
  const { rows } = await at.outbox.pool.query(
    `select entity_type, entity_id, share = walhook.share_of(entity_type, entity_id) as in_its_share, only_webhook_id
     from walhook.events order by id`,
  )
  expect(rows).toEqual([
    { entity_type: 'user', entity_id: '1', in_its_share: true, only_webhook_id: null },
    { entity_type: 'company', entity_id: '1', in_its_share: true, only_webhook_id: null },
    { entity_type: 'user', entity_id: '2', in_its_share: true, only_webhook_id: id },
  ])
  expect(await at.count('deliveries')).toBe(0)
})

test('an event has the version of the webhooks that was committed when it was appended', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const version = async () =>
    (await at.outbox.pool.query('select version from walhook.webhooks_version')).rows[0].version
  const made = await version()
  expect(await append(at.outbox.pool, at.nextAppend('user 1 new'))).toEqual({ webhooksVersion: made })
  await transaction(at.outbox.pool, async client => {
    await client.query('update walhook.webhooks set is_active = false where id = $1', [id])
    await at.append('user 2 new')
  })
  await at.append('user 3 new')
  await updateWebhook(at.outbox, id, { name: 'another name' })
  await at.append('user 4 new')
  const { rows } = await at.outbox.pool.query('select webhooks_version as v from walhook.events order by id')
  expect(rows.map(({ v }) => v)).toEqual([made, made, made + 1, made + 1])
  const { rows: positions } = await at.outbox.pool.query(
    'select webhooks_version as v from walhook.positions',
  )
  expect(positions).toEqual([{ v: made + 1 }])
})

test('the position moves with the events, and nothing is stored if another process has moved it', async () => {
  await using at = await openTestOutbox()
  const stale = at.nextAppend('user 1 new')
  await append(at.outbox.pool, stale)
  expect(await readPosition(at.outbox, slotName)).toEqual({
    systemIdentifier: '1',
    commitLsn: stale.commitLsn,
    confirmedLsn: stale.confirmableLsn,
    lastEventId: stale.lastEventId,
    readLsn: null,
  })
  const before = [await at.count('events'), await readPosition(at.outbox, slotName)]
  const other = at.nextAppend('user 2 new')
  const parked = [
    { entityType: 'user', entityId: '3', actionType: 'new', commitLsn: 9n, index: 1, reason: 'x' } as const,
  ]
  await expect(append(at.outbox.pool, { ...other, expected: stale.expected, parked })).rejects.toThrow(
    PositionMoved,
  )
  expect([await at.count('events'), await readPosition(at.outbox, slotName)]).toEqual(before)
  expect(await at.count('parked_changes')).toBe(0)
})

test('of two simultaneous appends from one position, one is stored completely and the other not at all', async () => {
  await using at = await openTestOutbox()
  const one = at.nextAppend('user 1 new')
  const two = { ...at.nextAppend('user 2 new'), expected: one.expected }
  const results = await Promise.allSettled([append(at.outbox.pool, one), append(at.outbox.pool, two)])
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await at.count('events')).toBe(1)
})

test('parts of one transaction become visible together', async () => {
  await using at = await openTestOutbox()
  const [first, second] = [at.nextAppend('user 1 new'), at.nextAppend('user 2 new')]
  await transaction(at.outbox.pool, async client => {
    await append(client, first)
    await append(client, second)
    expect(await at.count('events')).toBe(0)
  })
  expect(await at.count('events')).toBe(2)
})

test('listeners are notified of the last event of an append and of changes to webhooks only', async () => {
  await using at = await openTestOutbox()
  await using listener = await connect(at.database.url)
  const heard: string[] = []
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''))
  await listener.query(`listen ${wakeChannel}`)
  await at.append()
  const id = await at.webhook(['user.new'])
  const [, last] = await at.append('user 1 new', 'user 2 new')
  await updateWebhook(at.outbox, id, { name: 'another name' })
  // Notifications come in the order of commits: this one closes the row.
  await at.outbox.pool.query(`select pg_notify('${wakeChannel}', 'the end')`)
  await until(() => heard.includes('the end'), { what: 'the last notification' })
  expect(heard).toEqual(['webhooks', String(last), 'the end'])
})
