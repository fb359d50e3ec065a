import { expect, test } from 'vitest'
import { isInteger, jsonWriter, type PgType, parseExactly } from '../../src/domain/value/json-text.ts'

const type = (oid: number, part: Partial<PgType> = {}): PgType => ({
  oid,
  baseOid: 0,
  elementOid: 0,
  delimiter: ',',
  ...part,
})
const types = new Map(
  [
    type(1000, { elementOid: 16 }),
    type(1007, { elementOid: 23 }),
    type(1009, { elementOid: 25 }),
    type(1185, { elementOid: 1184 }),
    type(1231, { elementOid: 1700 }),
    type(3807, { elementOid: 3802 }),
    type(1020, { elementOid: 603, delimiter: ';' }),
    type(90001, { baseOid: 23 }), // a domain over int4
    type(90002, { baseOid: 90001 }), // a domain over that domain
    type(90003, { elementOid: 90002 }), // an array of it
    type(90004, { baseOid: 1009 }), // a domain over text[]
  ].map(each => [each.oid, each]),
)
const typeOf = (oid: number) => types.get(oid)

test.each<[string, number, string, string]>([
  ['int2', 21, '-32768', '-32768'],
  ['int4', 23, '-5', '-5'],
  ['int8', 20, '9007199254740993', '9007199254740993'],
  ['oid', 26, '4294967295', '4294967295'],
  [
    'numeric',
    1700,
    '1234567890123456789012345678901234567890.10',
    '1234567890123456789012345678901234567890.10',
  ],
  ['numeric', 1700, 'NaN', '"NaN"'],
  ['numeric', 1700, '-Infinity', '"-Infinity"'],
  ['float4', 700, '1.5', '1.5'],
  ['float4', 700, 'NaN', '"NaN"'],
  ['float8', 701, '1e+300', '1e+300'],
  ['float8', 701, '-0', '-0'],
  ['float8', 701, 'Infinity', '"Infinity"'],
  ['bool', 16, 't', 'true'],
  ['bool', 16, 'f', 'false'],
  ['text', 25, 'a "b" \\ c\n\u2028', '"a \\"b\\" \\\\ c\\n\u2028"'],
  ['bytea', 17, '\\x00ff10', '"AP8Q"'],
  ['bytea', 17, '\\x', '""'],
  ['bytea in another form', 17, 'ab', '"ab"'],
  ['json', 114, '{"a": 1.10, "a": 12345678901234567890}', '{"a": 1.10, "a": 12345678901234567890}'],
  ['jsonb', 3802, '{"a": 1.10}', '{"a": 1.10}'],
  ['timestamp', 1114, '2019-11-05 07:56:15', '"2019-11-05 07:56:15"'],
  ['timestamptz', 1184, '2019-11-05 07:56:15.123456+00', '"2019-11-05T07:56:15.123456Z"'],
  ['timestamptz', 1184, '10000-01-01 00:00:00+00', '"10000-01-01T00:00:00Z"'],
  ['timestamptz', 1184, '0044-03-15 12:00:00+00 BC', '"0044-03-15 12:00:00+00 BC"'],
  ['timestamptz', 1184, 'infinity', '"infinity"'],
  ['date', 1082, '2019-11-05', '"2019-11-05"'],
  ['interval', 1186, '1 day 02:03:04', '"1 day 02:03:04"'],
  ['uuid', 2950, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
  ['a type that nobody knows', 99999, 'x', '"x"'],
  ['int4[]', 1007, '{1,NULL,-3}', '[1,null,-3]'],
  ['int4[]', 1007, '{}', '[]'],
  ['int4[]', 1007, '{{1,2},{3,4}}', '[[1,2],[3,4]]'],
  ['int4[]', 1007, '[0:1]={1,2}', '[1,2]'],
  ['bool[]', 1000, '{t,f,NULL}', '[true,false,null]'],
  ['text[]', 1009, '{a,"b c","NULL",NULL,"","q\\"\\\\{},"}', '["a","b c","NULL",null,"","q\\"\\\\{},"]'],
  ['numeric[]', 1231, '{1.10,NaN}', '[1.10,"NaN"]'],
  ['timestamptz[]', 1185, '{"2019-11-05 07:56:15+00"}', '["2019-11-05T07:56:15Z"]'],
  ['jsonb[]', 3807, '{"{\\"a\\": [1, 2]}","\\"x\\""}', '[{"a": [1, 2]},"x"]'],
  ['box[]', 1020, '{(1,1),(0,0);(2,2),(1,1)}', '["(1,1),(0,0)","(2,2),(1,1)"]'],
  ['a domain', 90002, '7', '7'],
  ['an array of a domain', 90003, '{7,8}', '[7,8]'],
  ['a domain over an array', 90004, '{a}', '["a"]'],
])('%s (%d): %j is %s', (_name, oid, text, json) => {
  expect(jsonWriter(oid, typeOf)(text)).toBe(json)
  expect(() => JSON.parse(json)).not.toThrow()
})

test('an item of an array may be very large', () => {
  const item = `"${'a \\"'.repeat(5_000_000)}"`
  // Not compared by the matcher, which would print both.
  expect(jsonWriter(1009, typeOf)(`{${item},b}`) === `[${item},"b"]`).toBe(true)
})

test('keys of integer types, and of domains over them, are numbers', () => {
  expect([20, 21, 23, 26, 90001, 90002].map(oid => isInteger(oid, typeOf))).toEqual(Array(6).fill(true))
  expect([25, 1700, 2950, 701, 1007, 99999].map(oid => isInteger(oid, typeOf))).toEqual(Array(6).fill(false))
})

test.each([
  '9007199254740993',
  '{"a":[1.10,-0,1e400,0.1234567890123456789012345678901234567890],"b":{"c":12345678901234567890}}',
  '["1.10",null,true,"9007199254740993"]',
  '{"__proto__":1.0}',
])('%s is written unchanged', json => {
  expect(JSON.stringify(parseExactly(json))).toBe(json)
})
