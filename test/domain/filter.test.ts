import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ActionType } from '../../src/domain/event/event.ts'
import type { Filter, FilterFields } from '../../src/domain/event/filter.ts'
import { firstMismatch, isExactNumber, matchEvent } from '../../src/domain/event/filter.ts'
import { openFields } from '../../src/domain/event/json-fields.ts'
import { sentAction, triggersHeard, type Wantable } from '../../src/domain/event/wanted.ts'

const filterOf = (fields: FilterFields, rest: Partial<Filter> = {}): Filter => ({
  fields,
  entering: 'update',
  leaving: 'nothing',
  ...rest,
})
const eventOf = (result: string | null, rest: Partial<Wantable> = {}): Wantable => ({
  entityType: 'user',
  actionType: 'update',
  body: `{"entity_id":1,"entity_type":"user","action_type":"update"${result === null ? '' : `,"result":${result}`}}`,
  previous: null,
  changed: null,
  omitted: null,
  webhooksVersion: 1,
  onlyWebhookId: null,
  tenant: null,
  tenantBefore: null,
  ...rest,
})
const matches = (value: string, wanted: FilterFields[string]) =>
  matchEvent(filterOf({ 'user.x': wanted }), eventOf(`{"a":"x","x":${value},"z":1}`)).is

test.each<[string, FilterFields[string], boolean]>([
  ['5', 5, true],
  ['5.00', 5, true],
  ['5e0', 5, true],
  ['50', 5, false],
  ['"5"', 5, false],
  ['5', '5', false],
  ['"5"', '5', true],
  ['true', true, true],
  ['true', 'true', false],
  ['1', true, false],
  ['null', null, true],
  ['null', 'null', false],
  ['"null"', null, false],
  ['""', null, false],
  ['false', null, false],
  ['-0', 0, true],
  ['9007199254740993', 9007199254740992, false],
  ['12345678901234567890', 5, false],
  ['0.1', 0.1, true],
  ['1e300', 1e300, true],
  ['"man"', ['woman', 'man'], true],
  ['null', ['man', null], true],
  ['"other"', ['man', null], false],
  ['"m\\u0061n"', 'man', true],
  ['"a \\"b\\" \\\\"', 'a "b" \\', true],
  ['[2, 5 ,7]', 5, true],
  ['[]', 5, false],
  ['[]', null, false],
  ['[null]', null, true],
  ['[[5]]', 5, false],
  ['[{"x":5}]', 5, false],
  ['{"x":5}', 5, false],
  ['["a,5]"]', 5, false],
  ['"2026-11-28"', '2026-11-28', true],
])('the value %s against the filter %j: %s', (value, wanted, is) => {
  expect(matches(value, wanted)).toBe(is)
})

test('a number with more digits than JavaScript keeps is not exact', () => {
  const exact = [0, 5, -1.5, 0.1, 1e-300, 123456789.012345, 9007199254740991]
  const rounded = [9007199254740992, 1e300, 0.12345678901234566, -1234567890.1234567, Infinity, NaN]
  expect(exact.filter(value => !isExactNumber(value))).toEqual([])
  expect(rounded.filter(isExactNumber)).toEqual([])
})

test('a missing field does not match; an unknown one counts as a match', () => {
  const filter = filterOf({ 'user.x': [5, null] })
  expect(matchEvent(filter, eventOf('{"y":5}'))).toEqual({ is: false, was: false })
  expect(matchEvent(filter, eventOf('{"y":5}', { omitted: ['x'] }))).toEqual({ is: true, was: null })
  expect(matchEvent(filter, eventOf('{"y":{"x":5},"z":[{"x":5}]}')).is).toBe(false)
  expect(firstMismatch(filter, eventOf('{"x":7}'))).toEqual({ field: 'user.x', json: '7' })
  expect(firstMismatch(filter, eventOf('{"y":7}'))).toEqual({ field: 'user.x', json: null })
  expect(firstMismatch(filter, eventOf('{"x":5}'))).toBeNull()
})

const triggers = ['user.new', 'user.update', 'user.delete']
const now = (x: number) => `{"id":1,"x":${x},"name":"n"}`
const from = (x: number) => ({ previous: `{"x":${x}}`, changed: ['x'] })
const other = { previous: '{"name":"m"}', changed: ['name'] }
const unknown = { previous: null, changed: null }

test.each<[string, string, object, Partial<Filter>, ActionType | null]>([
  ['stays inside', now(5), other, {}, 'update'],
  ['stays outside', now(7), other, { leaving: 'delete' }, null],
  ['moves from outside to outside', now(7), from(8), { leaving: 'delete' }, null],
  ['enters', now(5), from(7), {}, 'update'],
  ['enters, told as new', now(5), from(7), { entering: 'new' }, 'new'],
  ['leaves', now(7), from(5), {}, null],
  ['leaves, told as update', now(7), from(5), { leaving: 'update' }, 'update'],
  ['leaves, told as delete', now(7), from(5), { leaving: 'delete' }, 'delete'],
  ['is inside, was unknown', now(5), unknown, { entering: 'new' }, 'update'],
  ['is outside, was unknown', now(7), unknown, { leaving: 'nothing' }, null],
  ['is outside, was unknown, update', now(7), unknown, { leaving: 'update' }, null],
  ['is outside, was unknown, delete', now(7), unknown, { leaving: 'delete' }, 'delete'],
])('an entity that %s', (_, result, facts, how, told) => {
  const state = {
    version: 1,
    isActive: true,
    triggers,
    updateFields: null,
    filter: filterOf({ 'user.x': 5 }, how),
  }
  expect(sentAction({ id: 1, tenant: null, states: [state] }, eventOf(result, facts))).toBe(told)
})

test('a name inside another object is not a field, whatever the order', () => {
  const filter = filterOf({ 'user.x': 5 })
  const is = (result: string) => matchEvent(filter, eventOf(result)).is
  expect(is('{"x":5,"custom":{"y":1}}')).toBe(true)
  expect(is('{"x":5,"custom":{"x":7}}')).toBe(true)
  expect(is('{"x":7,"custom":{"x":5}}')).toBe(false)
  expect(is('{"custom":{"x":5},"x":7}')).toBe(false)
  expect(is('{"custom":{"x":7},"x":5}')).toBe(true)
  expect(is('{"custom":{"x":5}}')).toBe(false)
  expect(is('{"x":[{"x":5}],"y":1}')).toBe(false)
  expect(is('{"note":"{\\"x\\":5","x":7}')).toBe(false)
  expect(is('{"a\\"x":5,"custom":{}}')).toBe(false)
  expect(is('{"custom":{"a":"}{\\"x\\":5"},"\\u0078":5}')).toBe(true)
  expect(is('{"custom":{},"xy":5,"y":5}')).toBe(false)
  expect(is('{"custom": [ {"x":7} , "{" ] , "x" : 5 }')).toBe(true)
})

test('a delete is filtered by its last values, if it has them', () => {
  const filter = filterOf({ 'user.x': 5 })
  const state = { version: 1, isActive: true, triggers, updateFields: null, filter }
  const told = (values: string, rest: Partial<Wantable> = {}) => {
    const body = `{"entity_id":"\\"last\\":5","entity_type":"user","action_type":"delete"${values}}`
    return sentAction(
      { id: 1, tenant: null, states: [state] },
      eventOf(null, { actionType: 'delete', body, ...rest }),
    )
  }
  expect(told('')).toBe('delete')
  expect(told(',"last":{"x":5}')).toBe('delete')
  expect(told(',"last":{"x":[7, 5],"y":{}}')).toBe('delete')
  expect(told(',"last":{"x":7}')).toBe(null)
  expect(told(',"last":{"result":{"x":5},"x":7}')).toBe(null)
  expect(told(',"last":{}')).toBe(null)
  expect(told(',"last":{}', { omitted: ['x'] })).toBe('delete')
  // Names of columns, as those of the request.
  const named = eventOf('{"action_type":"delete","last":{"x":5}}')
  expect(firstMismatch(filter, named)).toEqual({ field: 'user.x', json: null })
})

test('"new" needs a match, "delete" does not; other entity types are not filtered', () => {
  const filter = filterOf({ 'user.x': 5 }, { leaving: 'delete' })
  const all = [...triggers, 'company.update']
  const state = { version: 1, isActive: true, triggers: all, updateFields: null, filter }
  const told = (event: Wantable) => sentAction({ id: 1, tenant: null, states: [state] }, event)
  expect(told(eventOf(now(5), { actionType: 'new' }))).toBe('new')
  expect(told(eventOf(now(7), { actionType: 'new' }))).toBe(null)
  expect(told(eventOf(null, { actionType: 'delete' }))).toBe('delete')
  expect(told(eventOf(now(7), { entityType: 'company' }))).toBe('update')
})

test('the sent action must be a trigger; entering and leaving ignore update_fields', () => {
  const filter = filterOf({ 'user.x': 5 }, { entering: 'new', leaving: 'delete' })
  const stateOf = (triggers: string[], updateFields: string[] | null = null) => ({
    ...{ version: 1, isActive: true, triggers, updateFields, filter },
  })
  const told = (state: ReturnType<typeof stateOf>, event: Wantable) =>
    sentAction({ id: 1, tenant: null, states: [state] }, event)
  expect(told(stateOf(['user.new']), eventOf(now(5), from(7)))).toBe('new')
  expect(told(stateOf(['user.new']), eventOf(now(5), other))).toBe(null)
  expect(told(stateOf(['user.new']), eventOf(now(7), from(5)))).toBe(null)
  expect(triggersHeard(stateOf(['user.new']))).toEqual(['user.new', 'user.update'])
  const narrow = stateOf(triggers, ['user.email'])
  expect(told(narrow, eventOf(now(5), from(7)))).toBe('new')
  expect(told(narrow, eventOf(now(7), from(5)))).toBe('delete')
  expect(told(narrow, eventOf(now(5), other))).toBe(null)
})

test('the previous values of a list field count as unknown', () => {
  const filter = filterOf({ 'user.companies': 5 }, { leaving: 'delete' })
  const changedLists = { previous: null, changed: ['companies'] }
  const state = { version: 1, isActive: true, triggers, updateFields: ['user.name'], filter }
  const told = (result: string, facts: object) =>
    sentAction({ id: 1, tenant: null, states: [state] }, eventOf(result, facts))
  expect(told('{"companies":[2,5]}', changedLists)).toBe('update')
  expect(told('{"companies":[2]}', changedLists)).toBe('delete')
  expect(told('{"companies":[2]}', other)).toBe(null)
})

test('fields are found exactly as JSON.parse finds them', () => {
  const text = fc.oneof(
    fc.stringMatching(/^(?:"|\\|\{|\}|\[|\]|:|,| |a|b|é){0,6}$/),
    fc.constantFrom('a', 'b', 'a":{', '":[{', '\\', '"a":1', ':{"a":1}'),
  )
  const value = fc.letrec(tie => ({
    any: fc.oneof({ maxDepth: 3 }, text, fc.integer(), fc.constant(null), tie('list'), tie('object')),
    list: fc.array(tie('any'), { maxLength: 3 }),
    object: fc.dictionary(text, tie('any'), { maxKeys: 3 }),
  })).any
  fc.assert(
    fc.property(
      fc.dictionary(text, value, { maxKeys: 6 }),
      fc.array(text, { maxLength: 6 }),
      (object, names) => {
        const json = JSON.stringify(object)
        const fields = openFields(`"x":${json}`, 4)
        for (const name of [...names, ...Object.keys(object), ...names])
          expect([json, name, fields.get(name)]).toEqual([
            json,
            name,
            Object.hasOwn(object, name) ? JSON.stringify(object[name]) : undefined,
          ])
      },
    ),
    { numRuns: 2_000 },
  )
})
