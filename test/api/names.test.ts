import { expect, test } from 'vitest'
import { z } from 'zod'
import { toCode, toJson } from '../../src/api/kit/names.ts'

const schema = z.object({
  id: z.string(),
  p50_ms: z.number(),
  last_24_hours: z.object({ ended_at: z.string().nullable() }).nullable(),
  gaps: z.array(z.object({ table_name: z.string() })).optional(),
  headers: z.record(z.string(), z.string()),
})

test("a value is written with its schema's names, times in UTC and ids as text", () => {
  const value = {
    id: 7n,
    p50Ms: 1.5,
    last24Hours: { endedAt: new Date(0) },
    gaps: [{ tableName: 'users' }],
    headers: { x_api_key: '[redacted]' },
  }
  expect(toJson(schema, value)).toEqual({
    id: '7',
    p50_ms: 1.5,
    last_24_hours: { ended_at: '1970-01-01T00:00:00.000Z' },
    gaps: [{ table_name: 'users' }],
    headers: { x_api_key: '[redacted]' },
  })
})

test('only fields of the schema are written, and null stays null', () => {
  const value = { id: 7n, p50Ms: 1, last24Hours: null, headers: {}, secret: 'whsec_1' }
  expect(JSON.parse(JSON.stringify(toJson(schema, value)))).toEqual({
    ...{ id: '7', p50_ms: 1, last_24_hours: null },
    headers: {},
  })
})

test("a request is read into the code's names; keys of a record are data", () => {
  const given = z.object({
    entity_id: z.string(),
    batch: z.object({ max_events: z.int() }).nullable().default(null),
    filter: z.record(z.string(), z.unknown()).optional(),
  })
  const read = (value: object) => toCode(given, given.parse(value))
  expect(read({ entity_id: '1', batch: { max_events: 2 }, filter: { 'user.company_id': 5 } })).toEqual({
    entityId: '1',
    batch: { maxEvents: 2 },
    filter: { 'user.company_id': 5 },
  })
  expect(read({ entity_id: '1' })).toEqual({ entityId: '1', batch: null })
})
