import { expect, test } from 'vitest'
import { transaction } from '../../src/outbox/database/database.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { setSecret } from '../../src/outbox/records/secrets.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'

const everything = { sinceVersion: -1, ids: new Set<number>() }

const versionOf = async (at: TestOutbox): Promise<number> =>
  (await at.outbox.pool.query('select version from walhook.webhooks_version')).rows[0].version

/** What has changed since a version, by ids. */
async function changedSince(at: TestOutbox, sinceVersion: number, ids: number[]) {
  const { webhooks, gone } = await readDeliverySettings(at.outbox, { sinceVersion, ids: new Set(ids) })
  return { changed: webhooks.map(({ id }) => id), gone }
}

test("delivery reads a webhook's settings", async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new', 'user.update'], true, {
    mode: 'latest',
    previous: true,
    updateFields: ['user.email'],
    batch: { maxEvents: 10, maxWaitMs: 500 },
  })
  await transaction(at.outbox.pool, client =>
    setSecret(client, id, { secret: 'v1:next', previousSecret: 'v1:before', overlapHours: 1 }),
  )
  await at.outbox.pool.query(
    `update walhook.webhooks set held_until = now() + interval '1 min' where id = $1`,
    [id],
  )
  const { webhooks, version } = await readDeliverySettings(at.outbox, everything)
  expect(version).toBe(await versionOf(at))
  expect(webhooks).toEqual([
    {
      id,
      tenant: null,
      url: 'https://crm.example.com/',
      sealed: { secret: 'v1:next', previousSecret: 'v1:before', headers: null },
      previousSecretEndsInMs: expect.closeTo(3_600_000, -5),
      mode: 'latest',
      batch: { maxEvents: 10, maxWaitMs: 500 },
      withPrevious: true,
      traceparent: false,
      isActive: true,
      isFailing: false,
      heldInMs: expect.closeTo(60_000, -5),
      states: [
        {
          version: 1,
          isActive: true,
          triggers: ['user.new', 'user.update'],
          updateFields: ['user.email'],
          filter: null,
        },
      ],
      skips: [],
    },
  ])
})

const harmless = { name: 'CRM 2', logBodies: 'none' as const }
const matters: [string, string][] = [
  ['url', `'https://other.example.com/'`],
  ['secret', `'v1:y'`],
  ['headers', `'v1:h', header_names = '{a}'`],
  ['client_identity', `'v1:i', client_certificate = '{}'`],
  ['mode', `'latest'`],
  ['batch_max_events', '5, batch_max_wait_ms = 0'],
  ['previous', 'true'],
  ['traceparent', 'true'],
  ['is_active', 'false'],
  ['disabled_at', `now(), disabled_reason = 'gone'`],
  ['triggers', `'{user.delete}'`],
  ['update_fields', `'{user.email}'`],
  ['filter', `'{"user.company_id": 5}'`],
  ['filter_entering', `'new'`],
  ['filter_leaving', `'delete'`],
  ['held_until', 'now()'],
  ['moving_to', "'west'"],
  ['previous_secret', `'v1:p', previous_secret_expires_at = now()`],
]

test('exactly the changes that matter to delivery create a version of the webhook', async () => {
  await using at = await openTestOutbox()
  const [one, two] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  for (const [column, value] of matters) {
    const before = await versionOf(at)
    await at.outbox.pool.query(`update walhook.webhooks set ${column} = ${value} where id = ${one}`)
    expect([column, await versionOf(at)]).toEqual([column, before + 1])
    expect(await changedSince(at, before, [one, two])).toEqual({ changed: [one], gone: [] })
  }
  const before = await versionOf(at)
  await updateWebhook(at.outbox, two, harmless)
  await at.outbox.pool.query(
    `update walhook.webhooks set failing_since = now(), failed_at = now(), failed_for_ms = 5, next_try_at = now() where id = ${two}`,
  )
  expect(await versionOf(at)).toBe(before)
  // Every column was looked at: whoever adds one decides.
  const { rows } = await at.outbox.pool.query(
    `select attname from pg_attribute where attrelid = 'walhook.webhooks'::regclass and attnum > 0 and not attisdropped`,
  )
  const others = [
    'id',
    'name',
    'created_at',
    'updated_at',
    'activated_at',
    'version',
    'changed_in_version',
    'log_bodies',
    'alert_to',
    'managed_by',
    'tenant',
  ]
  const health = ['failing_since', 'failed_for_ms', 'failed_at', 'next_try_at']
  const together = [
    'disabled_reason',
    'batch_max_wait_ms',
    'header_names',
    'client_certificate',
    'previous_secret_expires_at',
  ]
  expect(rows.map(row => row.attname).toSorted()).toEqual(
    [...matters.map(([column]) => column), ...others, ...health, ...together].toSorted(),
  )
})

test('a reader of an older version gets the added and removed webhooks', async () => {
  await using at = await openTestOutbox()
  const [one, two] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  const before = await versionOf(at)
  expect(await changedSince(at, before, [one, two])).toEqual({ changed: [], gone: [] })
  await at.outbox.pool.query('delete from walhook.webhooks where id = $1', [one])
  expect(await changedSince(at, before, [one, two])).toEqual({ changed: [], gone: [one] })
  const three = await at.webhook(['user.new'])
  expect(await changedSince(at, before, [one, two])).toEqual({ changed: [three], gone: [one] })
  expect(await versionOf(at)).toBe(before + 2)
})

test('a transaction creates one version and one state per webhook, after any number of changes', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const before = await versionOf(at)
  await transaction(at.outbox.pool, async client => {
    for (const triggers of ['{user.new}', '{user.update}', '{user.delete}'])
      await client.query('update walhook.webhooks set triggers = $2, mode = $3 where id = $1', [
        id,
        triggers,
        'latest',
      ])
  })
  expect(await versionOf(at)).toBe(before + 1)
  const { rows } = await at.outbox.pool.query(
    'select version, triggers from walhook.webhook_states order by version',
  )
  expect(rows).toEqual([
    { version: before, triggers: ['user.new'] },
    { version: before + 1, triggers: ['user.delete'] },
  ])
})

test('states are read back to the oldest unsettled event', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const versions = async () =>
    (await readDeliverySettings(at.outbox, everything)).webhooks[0]!.states.map(({ version }) => version)
  const change = (triggers: string) =>
    at.outbox.pool.query('update walhook.webhooks set triggers = $1', [`{${triggers}}`])
  const settle = (upTo: bigint) =>
    at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [upTo])

  const [first] = await at.append('user 1 new')
  await change('user.update')
  await change('user.delete')
  expect(await versions()).toEqual([1, 2, 3])
  await settle(first!)
  // An append that is under way may still be of the first version: it is the newest that has committed.
  expect(await versions()).toEqual([1, 2, 3])
  const [second] = await at.append('user 2 new')
  expect(await versions()).toEqual([3])
  await change('user.new')
  expect(await versions()).toEqual([3, 4])
  await at.append('user 3 new')
  await settle(second!)
  expect(await versions()).toEqual([4])
  await at.outbox.pool.query(
    'insert into walhook.streams (webhook_id, share, settled_up_to, may_send_up_to) values ($1, 0, $2, $2)',
    [id, first],
  )
  expect(await versions()).toEqual([3, 4])
})

test("a cancelled range belongs to its webhook's state until the position has passed it", async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const [first, second] = await at.append('user 1 new', 'user 2 new')
  const before = await versionOf(at)
  await at.outbox.pool.query(
    `insert into walhook.skips (webhook_id, entity_type, entity_id, after_id, up_to) values ($1, 'user', '7', 0, $2), ($1, null, null, 0, $3)`,
    [id, first, second],
  )
  const skips = async () =>
    (await readDeliverySettings(at.outbox, { sinceVersion: before, ids: new Set([id]) })).webhooks[0]!.skips
  expect(await skips()).toEqual([
    { entity: { entityType: 'user', entityId: '7' }, afterId: 0n, upTo: first },
    { entity: null, afterId: 0n, upTo: second },
  ])
  await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [first])
  expect(await skips()).toEqual([{ entity: null, afterId: 0n, upTo: second }])
})
