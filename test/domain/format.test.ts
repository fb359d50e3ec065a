import { expect, test } from 'vitest'
import { type Format, formats, formatWriter } from '../../src/domain/value/format.ts'
import type { PgType } from '../../src/domain/value/json-text.ts'

const type = (oid: number, part: Partial<PgType>): [number, PgType] => [
  oid,
  { oid, baseOid: 0, elementOid: 0, delimiter: ',', ...part },
]
const types = new Map([
  type(1185, { elementOid: 1184 }),
  type(1016, { elementOid: 20 }),
  type(90001, { baseOid: 1184 }),
])
const typeOf = (oid: number) => types.get(oid)
const [int8, int4, float8, numeric, boolean, json, bytea] = [20, 23, 701, 1700, 16, 114, 17]
const [timestamp, timestamptz, timestamptzs, domain, int8s] = [1114, 1184, 1185, 90001, 1016]

test.each<[Format, number, string, string]>([
  ['string', int8, '9007199254740993', '"9007199254740993"'],
  ['string', numeric, '1.10', '"1.10"'],
  ['string', numeric, 'NaN', '"NaN"'],
  ['string', float8, '1e+300', '"1e+300"'],
  ['string', boolean, 't', '"true"'],
  ['string', boolean, 'f', '"false"'],
  ['string', json, '{"a": "b"}', '"{\\"a\\": \\"b\\"}"'],
  ['string', int8s, '{1,NULL}', '["1",null]'],
  ['hex', bytea, '\\x00ff', '"00ff"'],
  ['hex', bytea, '\\x', '""'],
  ['unix_seconds', timestamptz, '2019-11-05 07:56:15+00', '1572940575'],
  ['unix_seconds', timestamp, '2019-11-05 07:56:15', '1572940575'],
  ['unix_seconds', timestamptz, '1970-01-01 00:00:00+00', '0'],
  ['unix_seconds', timestamptz, '1969-12-31 23:59:59.5+00', '-1'],
  ['unix_seconds', timestamptz, '2000-02-29 23:59:59+00', '951868799'],
  ['unix_seconds', timestamptz, '1900-03-01 00:00:00+00', '-2203891200'],
  ['unix_seconds', timestamptz, '10000-01-01 00:00:00+00', '253402300800'],
  ['unix_seconds', timestamp, '0001-12-31 00:00:00 BC', '-62135683200'],
  ['unix_seconds', timestamptz, '4714-11-24 00:00:00+00 BC', '-210866803200'],
  ['unix_seconds', timestamptz, 'infinity', '"infinity"'],
  ['unix_seconds', domain, '1970-01-01 00:00:01+00', '1'],
  ['unix_seconds', timestamptzs, '{"1970-01-01 00:00:01+00",NULL,-infinity}', '[1,null,"-infinity"]'],
  ['unix_milliseconds', timestamptz, '2019-11-05 07:56:15.123999+00', '1572940575123'],
  ['unix_milliseconds', timestamptz, '2019-11-05 07:56:15.1+00', '1572940575100'],
  ['unix_milliseconds', timestamptz, '1969-12-31 23:59:59.25+00', '-750'],
  ['unix_milliseconds', timestamp, '294276-12-31 23:59:59.999999', '9224318015999999'],
  ['datetime', timestamptz, '2019-11-05 07:56:15.123456+00', '"2019-11-05 07:56:15"'],
  ['datetime', timestamp, '2019-11-05 07:56:15.5', '"2019-11-05 07:56:15"'],
  ['datetime', timestamptz, '0044-03-15 12:00:00.5+00 BC', '"0044-03-15 12:00:00 BC"'],
  ['datetime', timestamptz, '-infinity', '"-infinity"'],
  ['iso_8601', timestamp, '2019-11-05 07:56:15.25', '"2019-11-05T07:56:15.25Z"'],
  ['iso_8601', timestamptz, '2019-11-05 07:56:15+00', '"2019-11-05T07:56:15Z"'],
  ['iso_8601', timestamp, '0044-03-15 12:00:00 BC', '"0044-03-15 12:00:00 BC"'],
  ['iso_8601', timestamp, 'infinity', '"infinity"'],
  ['date', timestamptz, '2019-11-05 23:56:15.123456+00', '"2019-11-05"'],
  ['date', timestamp, '0044-03-15 12:00:00 BC', '"0044-03-15 BC"'],
  ['date', timestamp, 'infinity', '"infinity"'],
  ['from_unix_seconds', int8, '1572940575', '"2019-11-05T07:56:15Z"'],
  ['from_unix_seconds', int4, '0', '"1970-01-01T00:00:00Z"'],
  ['from_unix_seconds', numeric, '1572940575.2500', '"2019-11-05T07:56:15.25Z"'],
  ['from_unix_seconds', numeric, '-0.5', '"1969-12-31T23:59:59.5Z"'],
  ['from_unix_seconds', numeric, '1.0000019', '"1970-01-01T00:00:01.000001Z"'],
  ['from_unix_seconds', numeric, 'NaN', '"NaN"'],
  ['from_unix_seconds', int8, '253402300799', '"9999-12-31T23:59:59Z"'],
  ['from_unix_seconds', int8, '253402300800', '"253402300800"'],
  ['from_unix_seconds', int8, '-62135596801', '"-62135596801"'],
  ['from_unix_seconds', int8s, '{1,NULL}', '["1970-01-01T00:00:01Z",null]'],
  ['from_unix_milliseconds', int8, '1572940575250', '"2019-11-05T07:56:15.25Z"'],
  ['from_unix_milliseconds', int8, '-1', '"1969-12-31T23:59:59.999Z"'],
  ['from_unix_milliseconds', numeric, '1.5', '"1970-01-01T00:00:00.0015Z"'],
  ['from_unix_milliseconds', int8, '9223372036854775807', '"9223372036854775807"'],
])('%s of type %i: %s is %s', (format, oid, text, json) => {
  expect(formatWriter(format, oid, typeOf)!(text)).toBe(json)
})

test('unix seconds and milliseconds equal those of JavaScript, day by day', () => {
  const seconds = formatWriter('unix_seconds', timestamptz, typeOf)!
  const milliseconds = formatWriter('unix_milliseconds', timestamptz, typeOf)!
  for (let ms = Date.UTC(1890, 0, 1); ms < Date.UTC(2110, 0, 1); ms += 86_400_000 + 61_001) {
    const text = new Date(ms).toISOString().replace('T', ' ').replace('Z', '+00')
    expect([text, seconds(text), milliseconds(text)]).toEqual([
      text,
      String(Math.floor(ms / 1000)),
      String(ms),
    ])
  }
})

test('a format is accepted only for types it can write', () => {
  const fitting = (oid: number) => formats.filter(format => formatWriter(format, oid, typeOf))
  const instants = ['unix_seconds', 'unix_milliseconds', 'datetime', 'iso_8601', 'date']
  expect([timestamp, timestamptz, timestamptzs, domain].map(fitting)).toEqual(Array(4).fill(instants))
  const counts = ['string', 'from_unix_seconds', 'from_unix_milliseconds']
  for (const oid of [int8, int4, numeric, int8s]) expect(fitting(oid)).toEqual(counts)
  for (const oid of [float8, boolean, json]) expect(fitting(oid)).toEqual(['string'])
  expect(fitting(bytea)).toEqual(['hex'])
  for (const none of [25, 1082, 1083, 2950]) expect(fitting(none)).toEqual([])
})
