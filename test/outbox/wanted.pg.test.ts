import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import { type ActionType, writeBody } from '../../src/domain/event/event.ts'
import { enteringForms, leavingForms } from '../../src/domain/event/filter.ts'
import { sentAction } from '../../src/domain/event/wanted.ts'
import { stateAt, sentAction as toldAsInSql, wants as wantsInSql } from '../../src/outbox/log/wanted.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

const entityTypes = ['user', 'company', 'us']
const fields = ['email', 'name', 'a.b', '']
const triggers = entityTypes.flatMap(type => ['new', 'update', 'delete'].map(action => `${type}.${action}`))
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null })

/** Texts of JSON, some of which jsonb refuses: a column of type json may hold them. */
const scalars = [
  ...[
    '5',
    '5.0',
    '-0',
    '0',
    '0.5e1',
    '50',
    '5E-1',
    '0.5',
    '"5"',
    '""',
    '"man"',
    '"m\\u0061n"',
    '"\\u0000"',
    '"\\ud800"',
  ],
  ...[
    'true',
    'false',
    'null',
    '"null"',
    '1e400000',
    '9007199254740993',
    '"a \\"quoted\\" \\\\"',
    '"result"',
    '"{5,"',
  ],
]
const scalar = fc.constantFrom(...scalars)
const json = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { weight: 4, arbitrary: scalar },
    fc.array(tie('value'), { maxLength: 3 }).map(items => `[${items.join(' , ')}]`),
    fc.tuple(scalar, scalar).map(([a, b]) => `{ "result" : ${a}, "x":[${b}]}`),
  ),
})).value
const filterValue = fc.constantFrom(5, 0, 0.5, 50, '5', 'man', '', 'null', 'a "quoted" \\', true, false, null)
const filterFields = fc.dictionary(
  fc.tuple(fc.constantFrom(...entityTypes), fc.constantFrom(...fields)).map(parts => parts.join('.')),
  fc.oneof(filterValue, fc.array(filterValue, { minLength: 1, maxLength: 4 })),
  { minKeys: 1, maxKeys: 2 },
)
const filter = fc.record({
  fields: filterFields,
  entering: fc.constantFrom(...enteringForms),
  leaving: fc.constantFrom(...leavingForms),
})

const state = fc.record({
  version: fc.integer({ min: 0, max: 9 }),
  isActive: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
  triggers: fc.uniqueArray(fc.constantFrom(...triggers), { minLength: 1 }),
  updateFields: maybe(
    fc.uniqueArray(
      fc.tuple(fc.constantFrom(...entityTypes), fc.constantFrom(...fields)).map(parts => parts.join('.')),
      {
        minLength: 1,
      },
    ),
  ),
  filter: maybe(filter),
})
const objectOf = (members: readonly (readonly [string, string])[]) =>
  `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(', ')}}`
/** No name twice: the mapping refuses two fields of one name. */
const members = fc.uniqueArray(fc.tuple(fc.constantFrom(...fields), fc.oneof(scalar, json)), {
  selector: ([name]) => name,
  maxLength: 4,
})
const names = fc.uniqueArray(fc.constantFrom(...fields))
const tenant = fc.constantFrom('a', 'b')
const event = fc
  .record({
    entityType: fc.constantFrom(...entityTypes),
    actionType: fc.constantFrom<ActionType>('new', 'update', 'update', 'delete'),
    changed: maybe(names),
    omitted: maybe(names),
    previous: maybe(members.map(objectOf)),
    result: maybe(members.map(objectOf)),
    hasLast: fc.boolean(),
    webhooksVersion: fc.integer({ min: 0, max: 10 }),
    onlyWebhookId: maybe(fc.integer({ min: 1, max: 2 })),
    tenant: maybe(tenant),
    tenantBefore: fc.oneof(fc.constant(null), fc.constantFrom('', 'a', 'b')),
  })
  .map(({ result, hasLast, ...rest }) => {
    const values = hasLast && rest.actionType === 'delete' ? 'lastJson' : 'resultJson'
    const entityIdJson = '"\\"result\\":{5"'
    const isMoved = rest.actionType === 'update' && rest.tenantBefore !== rest.tenant
    const tenantBefore = isMoved ? rest.tenantBefore : null
    const body = writeBody({ ...rest, entityIdJson, resultJson: null, [values]: result })
    return { ...rest, tenantBefore, body }
  })

test('memory and SQL agree whether a webhook wants an event, and as which action, for any state and event', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  expect(id).toBe(1)
  const counts = { asked: 0, wanted: 0, filtered: 0, toldOtherwise: 0, ofOthers: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(state, { selector: ({ version }) => version, maxLength: 4 }),
      fc.array(event, { minLength: 1, maxLength: 30 }),
      maybe(tenant),
      async (unordered, events, tenant) => {
        const states = unordered.toSorted((a, b) => a.version - b.version)
        await at.outbox.pool.query('delete from walhook.webhook_states')
        await at.outbox.pool.query(
          `insert into walhook.webhook_states
             (webhook_id, since, version, is_active, disabled_reason, triggers, update_fields, filter, filter_entering, filter_leaving, tenant)
           select 1, now() + version * interval '1 s', version, is_active or version % 2 = 0,
                  case when not is_active and version % 2 = 0 then 'gone' end,
                  array(select jsonb_array_elements_text(triggers)),
                  case when jsonb_typeof(update_fields) = 'array' then array(select jsonb_array_elements_text(update_fields)) end,
                  filter -> 'fields', coalesce(filter ->> 'entering', 'update'), coalesce(filter ->> 'leaving', 'nothing'), $2
           from jsonb_to_recordset($1)
             as s (version int, is_active boolean, triggers jsonb, update_fields jsonb, filter jsonb)`,
          [
            JSON.stringify(
              states.map(s => ({
                version: s.version,
                is_active: s.isActive,
                triggers: s.triggers,
                update_fields: s.updateFields,
                filter: s.filter,
              })),
            ),
            tenant,
          ],
        )
        const { rows } = await at.outbox.pool.query(
          `select coalesce(${wantsInSql('e', 's')}, null) as wanted, ${toldAsInSql('e', 's')} as told
           from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::int[],
                       $10::text[], $11::text[])
             with ordinality as given (n, entity_type, action_type, body, previous, changed, omitted, webhooks_version, only_webhook_id, tenant, tenant_before, nth)
           cross join lateral (
             select given.entity_type, given.action_type, given.body, given.previous, given.changed::text[] as changed,
                    given.omitted::text[] as omitted, given.webhooks_version, given.only_webhook_id,
                    given.tenant, given.tenant_before
           ) e
           left join lateral (${stateAt('1', 'e.webhooks_version')}) s on true
           order by nth`,
          [
            events.map((_, n) => n),
            events.map(e => e.entityType),
            events.map(e => e.actionType),
            events.map(e => e.body),
            events.map(e => e.previous),
            events.map(e => e.changed && listOf(e.changed)),
            events.map(e => e.omitted && listOf(e.omitted)),
            events.map(e => e.webhooksVersion),
            events.map(e => e.onlyWebhookId),
            events.map(e => e.tenant),
            events.map(e => e.tenantBefore),
          ],
        )
        const inMemory = events.map(each => sentAction({ id, tenant, states }, each))
        expect(rows.map(row => (row.wanted ? row.told : null))).toEqual(inMemory)
        expect(rows.every(row => row.wanted !== null)).toBe(true)
        counts.asked += events.length
        counts.ofOthers += events.filter(each => tenant !== null && each.tenant !== tenant).length
        for (const [i, told] of inMemory.entries()) {
          if (told === null) continue
          counts.wanted++
          const { actionType, entityType, webhooksVersion } = events[i]!
          const { filter } = states.findLast(({ version }) => version <= webhooksVersion)!
          const isFiltered = Object.keys(filter?.fields ?? {}).some(key => key.split('.')[0] === entityType)
          if (isFiltered && actionType !== 'delete') counts.filtered++
          if (told !== actionType) counts.toldOtherwise++
        }
      },
    ),
    { numRuns: 600 },
  )
  // No rule is trivial.
  expect(counts.wanted / counts.asked).toBeGreaterThan(0.03)
  expect(counts.filtered).toBeGreaterThan(20)
  expect(counts.toldOtherwise).toBeGreaterThan(10)
  expect(counts.ofOthers).toBeGreaterThan(100)
})

const listOf = (texts: readonly string[]) => `{${texts.map(text => `"${text}"`).join(',')}}`

test('memory and SQL agree on the share of an entity, and shares are about equally large', async () => {
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
