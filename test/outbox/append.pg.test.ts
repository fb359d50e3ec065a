import { expect, test } from 'vitest'
import { append, PositionMoved, wakeChannel } from '../../src/outbox/append.ts'
import { inTransaction, transaction } from '../../src/outbox/database.ts'
import { readPosition } from '../../src/outbox/position.ts'
import { deleteWebhook, updateWebhook } from '../../src/outbox/webhooks.ts'
import { connect } from '../support/connect.ts'
import { openTestOutbox, slotName } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

test('an event becomes a delivery, in a lane, for each active webhook that has its trigger', async () => {
  await using at = await openTestOutbox()
  const everyUser = await at.webhook(['user.new', 'user.update', 'user.delete'])
  const news = await at.webhook(['user.new', 'company.new'])
  await at.webhook(['user.new'], false)
  const disabled = await at.webhook(['user.new'])
  await at.outbox.pool.query(
    `update walhook.webhooks set disabled_at = now(), disabled_reason = 'gone' where id = $1`,
    [disabled],
  )
  expect(await at.append('user 1 new', 'company 1 new', 'user 2 update', 'company 2 delete')).toBe(4)
  expect(await at.append('user 1 update')).toBe(1)
  expect(await at.queue()).toEqual([
    `${everyUser} user 1: new, update`,
    `${everyUser} user 2: update`,
    `${news} company 1: new`,
    `${news} user 1: new`,
  ])
  expect(await at.count('events')).toBe(5)

  await updateWebhook(at.outbox, disabled, { isActive: true })
  expect(await at.append('user 3 new')).toBe(3)
})

test('the position moves with the events, and nothing at all is stored where another process has moved it', async () => {
  await using at = await openTestOutbox()
  await at.webhook(['user.new'])
  const stale = at.nextAppend('user 1 new')
  await append(at.outbox.pool, stale)
  expect(await readPosition(at.outbox, slotName)).toEqual({
    systemIdentifier: '1',
    commitLsn: stale.commitLsn,
    confirmedLsn: stale.confirmableLsn,
    lastEventId: stale.lastEventId,
    readLsn: null,
  })
  const before = [await at.queue(), await at.count('events'), await readPosition(at.outbox, slotName)]
  const other = at.nextAppend('user 2 new')
  await expect(append(at.outbox.pool, { ...other, expected: stale.expected })).rejects.toThrow(PositionMoved)
  expect([await at.queue(), await at.count('events'), await readPosition(at.outbox, slotName)]).toEqual(
    before,
  )
})

test('two appends from one position, at once: one is stored whole, the other not at all', async () => {
  await using at = await openTestOutbox()
  await at.webhook(['user.new'])
  const one = at.nextAppend('user 1 new')
  const two = { ...at.nextAppend('user 2 new'), expected: one.expected }
  const results = await Promise.allSettled([append(at.outbox.pool, one), append(at.outbox.pool, two)])
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await at.queue()).toHaveLength(1)
  expect(await at.count('events')).toBe(1)
})

test('parts of one transaction become visible together', async () => {
  await using at = await openTestOutbox()
  await at.webhook(['user.new'])
  const [first, second] = [at.nextAppend('user 1 new'), at.nextAppend('user 2 new')]
  await transaction(at.outbox.pool, async client => {
    await append(client, first)
    await append(client, second)
    expect(await at.count('events')).toBe(0)
  })
  expect(await at.count('events')).toBe(2)
  expect(await at.queue()).toHaveLength(2)
})

test('whoever listens is woken by a commit with deliveries, and by no other', async () => {
  await using at = await openTestOutbox()
  await at.webhook(['user.new'])
  await using listener = await connect(at.database.url)
  let woken = 0
  listener.on('notification', () => woken++)
  await listener.query(`listen ${wakeChannel}`)
  await at.append('company 1 new')
  await at.append()
  await at.append('user 1 new', 'user 2 new')
  await until(() => woken > 0, { what: 'a notification' })
  // Notifications come in the order of commits: this one closes the row.
  await at.outbox.pool.query(`select pg_notify('${wakeChannel}', 'last')`)
  await until(() => woken > 1, { what: 'the last notification' })
  expect(woken).toBe(2)
})

test('a webhook that is deleted while events are appended leaves nothing behind, whoever comes first', async () => {
  await using at = await openTestOutbox()
  const [first, second] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  const isWaiting = async () =>
    (
      await at.outbox.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
    ).rowCount === 1

  let deletion: Promise<unknown> = Promise.resolve()
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 new'))
    deletion = inTransaction(at.outbox, tx => deleteWebhook(tx.client, first))
    await until(isWaiting, { what: 'the deletion to wait for the append' })
  })
  expect(await deletion).toBe(true)
  expect(await at.queue()).toEqual([`${second} user 1: new`])

  let appended: Promise<number> = Promise.resolve(0)
  await transaction(at.outbox.pool, async client => {
    await client.query('delete from walhook.webhooks where id = $1', [second])
    appended = at.append('user 2 new')
    await until(isWaiting, { what: 'the append to wait for the deletion' })
  })
  expect(await appended).toBe(0)
  expect(await at.queue()).toEqual([`${second} user 1: new`])
})
