import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import type { ActionType } from '../../src/domain/event/event.ts'
import { wants } from '../../src/domain/event/wanted.ts'
import { stateAt, wants as wantsInSql } from '../../src/outbox/log/wanted.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

const entityTypes = ['user', 'company', 'us']
const fields = ['email', 'name', 'a.b', '']
const triggers = entityTypes.flatMap(type => ['new', 'update', 'delete'].map(action => `${type}.${action}`))
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null })

const state = fc.record({
  version: fc.integer({ min: 0, max: 9 }),
  isActive: fc.boolean(),
  triggers: fc.uniqueArray(fc.constantFrom(...triggers), { minLength: 1 }),
  updateFields: maybe(
    fc.uniqueArray(
      fc.tuple(fc.constantFrom(...entityTypes), fc.constantFrom(...fields)).map(parts => parts.join('.')),
      {
        minLength: 1,
      },
    ),
  ),
})
const event = fc.record({
  entityType: fc.constantFrom(...entityTypes),
  actionType: fc.constantFrom<ActionType>('new', 'update', 'delete'),
  changed: maybe(fc.uniqueArray(fc.constantFrom(...fields))),
  webhooksVersion: fc.integer({ min: 0, max: 10 }),
  onlyWebhookId: maybe(fc.integer({ min: 1, max: 2 })),
})

test('what a webhook wants is the same in memory and in SQL, whatever it was and whatever the event is', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  expect(id).toBe(1)
  let wanted = 0
  let asked = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(state, { selector: ({ version }) => version, maxLength: 4 }),
      fc.array(event, { minLength: 1, maxLength: 30 }),
      async (unordered, events) => {
        const states = unordered.toSorted((a, b) => a.version - b.version)
        await at.outbox.pool.query('delete from walhook.webhook_states')
        await at.outbox.pool.query(
          `insert into walhook.webhook_states (webhook_id, since, version, is_active, disabled_reason, triggers, update_fields)
           select 1, now() + version * interval '1 s', version, is_active or version % 2 = 0,
                  case when not is_active and version % 2 = 0 then 'gone' end,
                  array(select jsonb_array_elements_text(triggers)),
                  case when jsonb_typeof(update_fields) = 'array' then array(select jsonb_array_elements_text(update_fields)) end
           from jsonb_to_recordset($1) as s (version int, is_active boolean, triggers jsonb, update_fields jsonb)`,
          [
            JSON.stringify(
              states.map(s => ({
                version: s.version,
                is_active: s.isActive,
                triggers: s.triggers,
                update_fields: s.updateFields,
              })),
            ),
          ],
        )
        const { rows } = await at.outbox.pool.query(
          `select coalesce(${wantsInSql('e', 's')}, null) as wanted
           from jsonb_to_recordset($1) as given (n int, entity_type text, action_type text, changed jsonb, webhooks_version int, only_webhook_id int)
           cross join lateral (
             select given.*, case when jsonb_typeof(given.changed) = 'array' then array(select jsonb_array_elements_text(given.changed)) end as changed_fields
           ) c
           cross join lateral (
             select c.entity_type, c.action_type, c.changed_fields as changed, c.webhooks_version, c.only_webhook_id
           ) e
           left join lateral (${stateAt('1', 'e.webhooks_version')}) s on true
           order by given.n`,
          [
            JSON.stringify(
              events.map((e, n) => ({
                n,
                entity_type: e.entityType,
                action_type: e.actionType,
                changed: e.changed,
                webhooks_version: e.webhooksVersion,
                only_webhook_id: e.onlyWebhookId,
              })),
            ),
          ],
        )
        const inMemory = events.map(each => wants({ id, states }, each))
        expect(rows.map(row => row.wanted)).toEqual(inMemory)
        asked += events.length
        wanted += inMemory.filter(Boolean).length
      },
    ),
    { numRuns: 300 },
  )
  // Neither rule is trivial.
  expect(wanted / asked).toBeGreaterThan(0.03)
})

test('the share of an entity is the same in memory and in SQL, and the shares are about as large', async () => {
  await using at = await openTestOutbox()
  const name = fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .filter(text => !text.includes('\0') && text.isWellFormed())
  const entities = fc.sample(fc.tuple(name, name), 2_000)
  const ids = Array.from({ length: 12_000 }, (_, i) => ['user', String(i)] as const)
  const all = [...entities, ...ids]
  const { rows } = await at.outbox.pool.query(
    `select walhook.share_of(type, id) as share from unnest($1::text[], $2::text[]) with ordinality as e (type, id, n) order by n`,
    [all.map(([type]) => type), all.map(([, id]) => id)],
  )
  expect(rows.map(({ share }) => share)).toEqual(all.map(([type, id]) => shareOf(type, id)))
  const sizes = Map.groupBy(ids, ([type, id]) => shareOf(type, id))
  expect(sizes.size).toBe(12)
  for (const { length } of sizes.values()) expect(length).toBeGreaterThan(800)
})
