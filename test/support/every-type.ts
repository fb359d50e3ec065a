import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { type Format, formats } from '../../src/domain/value/format.ts'
import type { RunningCapture } from './run-capture.ts'

/** A table of users with a column of nearly every type. */
export const everyType = `
  create type mood as enum ('glad', 'so so');
  create domain age as integer;
  create domain ages as age[];
  create type place as (x integer, y text);
  create table companies (id integer primary key);
  create table users (
    id bigint primary key,
    small smallint, big bigint, exact numeric, real4 real, real8 double precision, yes boolean,
    words text, char_10 char(10), raw bytea, guid uuid, net inet, feeling mood, years age,
    day date, at_time time, local timestamp, instant timestamptz, span interval, days daterange, money money,
    doc json, docb jsonb, doc_xml xml, bits bit(4), spot point, home place,
    integers integer[], matrix integer[], names text[], exacts numeric[], instants timestamptz[], docs jsonb[],
    moods mood[], of_ages ages, search tsvector, address_of regclass,
    twice bigint generated always as (big * 2) stored
  );`

/** What `insert into users values (…)` takes. */
export const rowsOfEveryType = [
  `1, -32768, 9007199254740993, 1234567890123456789012345678901234567890.123456789, 1.1, 0.1, true,
   E'Zo\u00eb "q" \\\\ \\n \u2028 \u{1F39F}', 'ab', '\\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', 'so so', 33,
   '2019-11-05', '07:56:15.123456', '2019-11-05 07:56:15', '2019-11-05 07:56:15.123456+05:30', '1 year 2 mons 3 days 04:05:06.7',
   '[2019-01-01,2019-02-01)', 12.5,
   '{"b": 1.10, "a": 12345678901234567890, "a": [1,  2]}', '{"b": 1.10, "big": 12345678901234567890123}', '<a>1</a>', '1010', '(1,2.5)', '(1,"a b")',
   '{1,NULL,3}', '{{1,2},{3,4}}', '{a,"b c",NULL,"NULL","",q\\"}', '{1.10,NaN}', '{"2019-11-05 07:56:15+00"}', ARRAY['{"a": [1, 2]}'::jsonb],
   '{glad,"so so"}', '{1,2}', 'a fat cat', 'users'`,
  `2, 0, 0, 'NaN', 'Infinity', '-Infinity', false,
   '', '', '', '00000000-0000-0000-0000-000000000000', '::1', 'glad', -1,
   'infinity', '24:00:00', 'infinity', '-infinity', '-1 days', 'empty', -1,
   'null', '"x"', null, '0000', '(0,0)', '(,)',
   '{}', '[0:1]={7,8}', '{}', '{}', '{infinity}', '{}', '{}', '{}', '', null`,
  `3, null, null, 'Infinity', 'NaN', 1e300, null, E'\\u0001', null, null, null, null, null, null,
   '0044-03-15 BC', null, '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', null, null, null,
   null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null`,
]

const instants = ['local', 'instant', 'instants']
const formatted: Record<Format, readonly string[]> = {
  string: 'small big exact real8 yes years doc docb integers matrix exacts docs of_ages twice'.split(' '),
  unix_seconds: instants,
  unix_milliseconds: instants,
  datetime: instants,
  iso_8601: instants,
  date: instants,
  hex: ['raw'],
  from_unix_seconds: ['big', 'exact'],
  from_unix_milliseconds: ['big', 'exact'],
}
/** Bytes are sent where the mapping names them. */
export const withBytes = defaultMapping.map(entity =>
  entity.entityType === 'user' ? { ...entity, fields: { ...entity.fields, rename: { raw: 'raw' } } } : entity,
)

/** One entity of the same table for each format. */
export const asFormatted = formats.map(
  (format): EntityMapping => ({
    ...defaultMapping[0]!,
    entityType: `as_${format}`,
    fields: {
      include: ['id', ...formatted[format]],
      omit: [],
      rename: {},
      format: Object.fromEntries(formatted[format].map(column => [column, format])),
    },
  }),
)

/** All events of a capture, as the golden file has them. */
export async function inGoldenForm(capture: RunningCapture): Promise<string> {
  const lines = (await capture.events()).map(line => line.replace(/,"/g, ',\n  "').replace(/ \{"/, ' {\n  "'))
  return `${lines.join('\n\n')}\n`
}
