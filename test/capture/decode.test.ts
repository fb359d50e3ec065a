import { constants } from 'node:buffer'
import { expect, test } from 'vitest'
import { createDecoder } from '../../src/capture/stream/decode.ts'
import { unchanged, unreadable } from '../../src/domain/capture/change.ts'
import { int8, int16, int32, int64, logicalMessage, message, row, text } from '../support/pgoutput.ts'

const highOid = 3_000_000_000
const relation = message(
  'R',
  int32(highOid),
  text('public'),
  text('Users'),
  'd',
  int16(2),
  ...[int8(1), text('id'), int32(23), int32(0xffff_ffff)],
  ...[int8(0), text('näme'), int32(25), int32(0xffff_ffff)],
)
const users = {
  oid: highOid,
  schema: 'public',
  name: 'Users',
  identity: 'default',
  columns: [
    { name: 'id', typeOid: 23, inKey: true },
    { name: 'näme', typeOid: 25, inKey: false },
  ],
}

function decoderOfUsers() {
  const decode = createDecoder()
  expect(decode(relation)).toEqual({ kind: 'other' })
  return decode
}

test('a transaction has its commit LSN and time, beyond the precision of a double', () => {
  const lsn = 0xffff_ffff_ffff_0001n
  const micros = 826_000_000_123_456n
  const decode = createDecoder()
  const committedAt = new Date(Number((micros + 946_684_800_000_000n) / 1000n))
  expect(decode(message('B', int64(lsn), int64(micros), int32(7)))).toEqual({
    kind: 'begin',
    commitLsn: lsn,
    committedAt,
    xid: 7,
  })
  expect(decode(message('C', int8(0), int64(lsn), int64(lsn + 48n), int64(micros)))).toEqual({
    kind: 'commit',
    commitLsn: lsn,
    endLsn: lsn + 48n,
  })
})

test.each([
  ['I', [row('1', 'Zoë 🎟')], { kind: 'insert', row: ['1', 'Zoë 🎟'] }],
  ['I', [row('1', null)], { kind: 'insert', row: ['1', null] }],
  ['I', [row('1', '')], { kind: 'insert', row: ['1', ''] }],
  ['I', [row('\u007f', 'plain')], { kind: 'insert', row: ['\u007f', 'plain'] }],
])('%s contains the new row: %j', (tag, parts, change) => {
  const decoded = decoderOfUsers()(message(tag, int32(highOid), 'N', ...parts))
  expect(decoded).toEqual({ kind: 'change', change: { ...change, relation: users } })
})

test('an update contains the new row, and the old one if the replica identity has it', () => {
  const decode = decoderOfUsers()
  const update = (...parts: (Buffer | string)[]) => decode(message('U', int32(highOid), ...parts))
  expect(update('N', row('1', undefined))).toEqual({
    kind: 'change',
    change: { kind: 'update', relation: users, row: ['1', unchanged], old: null },
  })
  for (const tag of ['K', 'O'])
    expect(update(tag, row('1', null), 'N', row('2', 'b'))).toEqual({
      kind: 'change',
      change: { kind: 'update', relation: users, row: ['2', 'b'], old: ['1', null] },
    })
})

test('a delete contains the old row, a truncate its tables', () => {
  const decode = decoderOfUsers()
  expect(decode(message('D', int32(highOid), 'K', row('1', null)))).toEqual({
    kind: 'change',
    change: { kind: 'delete', relation: users, old: ['1', null] },
  })
  expect(decode(message('T', int32(1), int8(0), int32(highOid)))).toEqual({
    kind: 'change',
    change: { kind: 'truncate', relations: [users] },
  })
})

test('values stay valid after their buffer is reused', () => {
  const decode = decoderOfUsers()
  const bytes = message('I', int32(highOid), 'N', row('1', 'kept'))
  const decoded = decode(bytes)
  bytes.fill(0)
  expect(decoded).toMatchObject({ change: { row: ['1', 'kept'] } })
})

test('a repeated relation message replaces the earlier one for later changes', () => {
  const decode = decoderOfUsers()
  const before = decode(message('D', int32(highOid), 'K', row('1', null)))
  decode(
    message(
      'R',
      int32(highOid),
      text('s'),
      text('t'),
      'f',
      int16(1),
      int8(1),
      text('id'),
      int32(20),
      int32(0),
    ),
  )
  expect(decode(message('D', int32(highOid), 'O', row('1')))).toMatchObject({
    change: { relation: { schema: 's', name: 't', identity: 'full' } },
  })
  expect(before).toMatchObject({ change: { relation: users } })
})

test("walhook's own logical message is a probe, and others are skipped", () => {
  const logical = (prefix: string, content: string) => createDecoder()(logicalMessage(prefix, content))
  expect(logical('walhook.probe', '17')).toEqual({ kind: 'probe', id: '17' })
  expect(logical('walhook.mark', 'a')).toEqual({ kind: 'mark', id: 'a' })
  expect(logical('somebody.else', '17')).toEqual({ kind: 'other' })
})

test.each([
  ['d', 'default'],
  ['n', 'nothing'],
  ['f', 'full'],
  ['i', 'index'],
])('a relation with the identity %s has %s, and one without a schema is in pg_catalog', (tag, identity) => {
  const decode = createDecoder()
  decode(message('R', int32(1), text(''), text('t'), tag, int16(0)))
  expect(decode(message('I', int32(1), 'N', row()))).toMatchObject({
    change: { relation: { schema: 'pg_catalog', name: 't', identity, columns: [] }, row: [] },
  })
})

test.each(['O', 'A', 'r'])('a message of kind %s is skipped', tag => {
  expect(createDecoder()(message(tag, 'whatever'))).toEqual({ kind: 'other' })
})

test('a column of a type that is not built in has its name, which outlives its OID', () => {
  const decode = createDecoder()
  decode(message('Y', int32(70_000), text('shop'), text('Mood')))
  decode(
    message(
      'R',
      int32(1),
      text('public'),
      text('t'),
      'd',
      int16(1),
      int8(1),
      text('id'),
      int32(70_000),
      int32(0),
    ),
  )
  expect(decode(message('I', int32(1), 'N', row('glad')))).toMatchObject({
    change: { relation: { columns: [{ name: 'id', typeOid: 70_000, typeName: 'shop.Mood' }] } },
  })
})

test.each(['S', 'E', 'c', 'b', 'P', 'K', 'p', '?'])(
  'an unrequested message of kind %s, which may contain changes, is refused by its code',
  tag => {
    expect(() => createDecoder()(message(tag, int32(1), int32(2)))).toThrow(
      expect.objectContaining({ code: 'capture.unasked_message' }),
    )
  },
)

test('a change of an unannounced relation is refused', () => {
  expect(() => decoderOfUsers()(message('I', int32(1), 'N', row('1')))).toThrow('without having announced')
})

test.each([
  ['a row where another was expected', message('I', int32(highOid), 'K', row('1', 'a'))],
  ['a value of unknown kind', message('I', int32(highOid), 'N', int16(1), 'b')],
  ['a message that ends early', message('I', int32(highOid), 'N', int16(2), 't', int32(1))],
])('%s is a change with only its table known', (_what, bytes) => {
  expect(decoderOfUsers()(bytes)).toEqual({
    kind: 'change',
    change: {
      kind: 'unreadable',
      relation: users,
      actionType: 'new',
      because: expect.stringMatching(/^its message cannot be read: /),
    },
  })
})

test('a value that is not UTF-8 is unreadable; a replacement character in the data is not', () => {
  const valued = (value: Buffer) =>
    message('I', int32(highOid), 'N', int16(2), 't', int32(1), '1', 't', int32(value.length), value)
  const name = (value: Buffer) => {
    const decoded = decoderOfUsers()(valued(value))
    return decoded.kind === 'change' && decoded.change.kind === 'insert' && decoded.change.row[1]
  }
  expect(name(Buffer.from('Zo\u00eb', 'latin1'))).toBe(unreadable)
  expect(name(Buffer.from('\ufffd'))).toBe('\ufffd')
})

test('a value longer than the longest string is unreadable; the others are read', () => {
  const large = constants.MAX_STRING_LENGTH + 1
  // Its pages are never touched: this takes no memory.
  const bytes = Buffer.alloc(large + 100)
  const head = message('I', int32(highOid), 'N', int16(2), 't', int32(1), '1', 't', int32(large))
  head.copy(bytes)
  const change = decoderOfUsers()(bytes.subarray(0, head.length + large))
  expect(change).toEqual({
    kind: 'change',
    change: { kind: 'insert', relation: users, row: ['1', unreadable] },
  })
})
