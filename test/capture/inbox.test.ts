import { expect, test } from 'vitest'
import { createInbox } from '../../src/capture/stream/inbox.ts'
import type { Change } from '../../src/domain/capture/change.ts'
import { begin, commit, int8, int16, int32, logicalMessage, message, row, text } from '../support/pgoutput.ts'

const oid = 1
const users = message(
  'R',
  int32(oid),
  text('public'),
  text('users'),
  'd',
  int16(1),
  int8(1),
  text('id'),
  int32(23),
  int32(0),
)
/** What a message weighs in the inbox beyond its value. */
const frame = message('I', int32(oid), 'N', row('')).length + 100

/** Sizes are in units of 1,000 bytes, of which a change weighs one where nothing else is said. */
function open(max = 100, batch = max / 2) {
  const flow: string[] = []
  const inbox = createInbox({
    maxBytes: max * 1_000,
    batchBytes: batch * 1_000,
    onFull: () => flow.push('full'),
    onDrained: () => flow.push('drained'),
  })
  for (const bytes of [begin(1n), users, commit(1n, 2n)]) inbox.onMessage(bytes)
  inbox.take()
  return {
    inbox,
    flow,
    begin: (commitLsn: bigint) => inbox.onMessage(begin(commitLsn)),
    change: (id: string, size = 1) =>
      inbox.onMessage(message('I', int32(oid), 'N', row(id.padEnd(size * 1_000 - frame)))),
    commit: (commitLsn: bigint) => inbox.onMessage(commit(commitLsn, commitLsn + 8n)),
    probe: (id: string) => inbox.onMessage(logicalMessage('walhook.probe', id)),
    /** One batch in short: its kind, the ids of each transaction in it, and how far it may be confirmed. */
    take() {
      const batch = inbox.take()
      if (!batch) return null
      const ids = (part: { changes: Change[] }) =>
        part.changes.map(each => (each.kind === 'insert' ? String(each.row[0]).trim() : '?')).join('')
      if (batch.kind === 'chunk') return `chunk ${ids(batch.part)}`
      const parts = batch.parts.map(part => `${part.commitLsn}:${ids(part)}`).join(' ')
      return `${parts} up to ${batch.confirmLsn}${batch.probe === null ? '' : ` probe ${batch.probe}`}`
    },
  }
}

test('all complete transactions form one batch, confirmed to the end of the last', () => {
  const at = open()
  at.begin(10n)
  at.change('a')
  at.change('b')
  at.commit(10n)
  at.begin(20n)
  at.change('c')
  at.commit(20n)
  at.begin(30n)
  at.change('d')
  expect(at.take()).toBe('10:ab 20:c up to 28')
  expect(at.take()).toBeNull()
  at.commit(30n)
  expect(at.take()).toBe('30:d up to 38')
})

test('a batch has complete transactions up to its bound, and is confirmed to the end of its last one', () => {
  const at = open(100, 50)
  for (const [i, id] of ['a', 'b', 'c', 'd'].entries()) {
    at.begin(BigInt(10 * i + 10))
    at.change(id, 20)
    at.commit(BigInt(10 * i + 10))
  }
  at.inbox.onKeepalive(500n)
  expect(at.take()).toBe('10:a 20:b up to 28')
  expect(at.take()).toBe('30:c 40:d up to 500')
})

test('a waiting reader gets a batch as soon as it exists', async () => {
  const at = open()
  const hasMore = at.inbox.hasMore()
  at.begin(10n)
  at.change('a')
  at.commit(10n)
  expect(await hasMore).toBe(true)
  expect(at.take()).toBe('10:a up to 18')
})

test('a keepalive between transactions counts as reached once earlier ones are stored; inside one it is ignored', () => {
  const at = open()
  at.inbox.onKeepalive(5n)
  expect(at.take()).toBe(' up to 5')
  at.begin(10n)
  at.change('a')
  at.inbox.onKeepalive(500n)
  expect(at.take()).toBeNull()
  at.commit(10n)
  expect(at.take()).toBe('10:a up to 18')
  at.begin(30n)
  at.commit(30n)
  at.inbox.onKeepalive(100n)
  at.inbox.onKeepalive(90n)
  expect(at.take()).toBe('30: up to 100')
})

test('a large transaction is divided into chunks, and only the last has an end position', () => {
  const at = open(100, 50)
  at.begin(10n)
  for (const id of 'abcde') at.change(id, 10)
  expect(at.take()).toBe('chunk abcde')
  for (const id of 'fghij') at.change(id, 10)
  expect(at.take()).toBe('chunk fghij')
  at.change('k')
  at.commit(10n)
  expect(at.take()).toBe('10:k up to 18')
})

test('a complete large transaction is divided into chunks of the same size', () => {
  const at = open(200, 50)
  at.begin(10n)
  for (const id of 'abcdefgh') at.change(id, 20)
  at.commit(10n)
  at.begin(20n)
  at.change('i')
  at.commit(20n)
  expect([at.take(), at.take(), at.take()]).toEqual(['chunk abc', 'chunk def', '10:gh 20:i up to 28'])
})

test('complete transactions come before the chunks of a large one', () => {
  const at = open()
  at.begin(10n)
  at.change('a')
  at.commit(10n)
  at.begin(20n)
  for (const id of 'bcdef') at.change(id, 10)
  expect(at.take()).toBe('10:a up to 18')
  expect(at.take()).toBe('chunk bcdef')
})

test('reading pauses at the bound and resumes at half of it, once each', () => {
  const at = open()
  at.begin(10n)
  at.change('a', 99)
  expect(at.flow).toEqual([])
  at.change('b', 1)
  at.change('c', 30)
  expect(at.flow).toEqual(['full'])
  expect(at.take()).toBe('chunk a')
  expect(at.flow).toEqual(['full', 'drained'])
  at.commit(10n)
  expect(at.flow).toEqual(['full', 'drained'])
})

test('a probe without transactions is a batch of its own, and confirms nothing', () => {
  const at = open()
  at.probe('17')
  expect(at.take()).toBe(' up to 0 probe 17')
})

test('a probe is reported with the transactions before it, not with earlier ones', () => {
  const at = open(100, 20)
  at.begin(10n)
  at.change('a', 15)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 15)
  at.commit(20n)
  at.probe('17')
  at.begin(30n)
  at.change('c', 15)
  at.commit(30n)
  expect([at.take(), at.take(), at.take()]).toEqual([
    '10:a up to 18',
    '20:b up to 28 probe 17',
    '30:c up to 38',
  ])
})

test('waiting complete transactions count towards the bound, and reading resumes below half of it', () => {
  const at = open(100, 100)
  at.begin(10n)
  at.change('a', 40)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 40)
  at.commit(20n)
  at.begin(30n)
  at.change('c', 20)
  expect(at.flow).toEqual(['full'])
  expect(at.take()).toBe('10:a 20:b up to 28')
  expect(at.flow).toEqual(['full', 'drained'])
  at.change('d', 79)
  expect(at.flow).toEqual(['full', 'drained'])
  at.change('e', 1)
  expect(at.flow).toEqual(['full', 'drained', 'full'])
})

test('reading stays paused while the rest of an open transaction is half of the bound', () => {
  const at = open()
  at.begin(10n)
  at.change('a', 49)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 51)
  expect(at.take()).toBe('10:a up to 18')
  expect(at.flow).toEqual(['full'])
  expect(at.take()).toBe('chunk b')
  expect(at.flow).toEqual(['full', 'drained'])
})

test('a reader waiting for a large transaction gets it at the size of a chunk', async () => {
  const at = open()
  const hasMore = at.inbox.hasMore()
  at.begin(10n)
  at.change('a', 49)
  expect(at.take()).toBeNull()
  at.change('b', 1)
  expect(await hasMore).toBe(true)
  expect(at.take()).toBe('chunk ab')
})

test('taking a batch does not resume a reading that was not paused', () => {
  const at = open()
  at.begin(10n)
  at.change('a', 60)
  at.commit(10n)
  at.take()
  expect(at.flow).toEqual([])
})

test('closing returns nothing more, also to a waiting reader', async () => {
  const at = open()
  const hasMore = at.inbox.hasMore()
  at.inbox.close()
  expect(await hasMore).toBe(false)
  at.begin(10n)
  at.commit(10n)
  expect(at.take()).toBeNull()
  expect(await at.inbox.hasMore()).toBe(false)
})

test('changes and commits outside a transaction are refused', () => {
  const change = open()
  change.change('a')
  expect(change.take).toThrow('outside a transaction')
  const commit = open()
  commit.commit(1n)
  expect(commit.take).toThrow('did not begin')
})

test('an unreadable message is thrown each time once everything before it was taken', async () => {
  const at = open(100, 50)
  at.begin(10n)
  at.change('a', 30)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 30)
  at.commit(20n)
  at.inbox.onMessage(message('S', int32(7)))
  at.begin(30n)
  at.change('c')
  at.commit(30n)
  at.inbox.onKeepalive(99n)
  expect(at.take()).toBe('10:a up to 18')
  expect(at.take()).toBe('20:b up to 28')
  expect(await at.inbox.hasMore()).toBe(true)
  for (let i = 0; i < 2; i++) expect(at.take).toThrow('which walhook has not asked for')
})

test('an undecodable transaction is thrown once those before it were taken', () => {
  const at = open()
  at.begin(10n)
  at.change('a')
  at.commit(10n)
  at.begin(20n)
  at.inbox.onMessage(message('I', int32(404), 'N', row('b')))
  at.commit(20n)
  at.inbox.onKeepalive(99n)
  expect(at.take()).toBe('10:a up to 18')
  expect(at.take).toThrow('without having announced it')
})

test('messages without a row are skipped, inside and outside a transaction', () => {
  const at = open()
  const rolledBack = message('A', int32(7), int32(8))
  at.inbox.onMessage(rolledBack)
  at.begin(10n)
  at.change('a')
  at.inbox.onMessage(rolledBack)
  at.change('b')
  at.commit(10n)
  at.inbox.onMessage(rolledBack)
  expect(at.take()).toBe('10:ab up to 18')
})

test('a transaction with a mark ends its batch; one with a TRUNCATE is a batch of its own', () => {
  const at = open()
  const transaction = (commitLsn: bigint, content: () => void) => {
    at.begin(commitLsn)
    content()
    at.commit(commitLsn)
  }
  transaction(10n, () => at.change('a'))
  transaction(20n, () => at.inbox.onMessage(logicalMessage('walhook.mark', 'm')))
  transaction(30n, () => at.change('b'))
  transaction(40n, () => at.inbox.onMessage(message('T', int32(1), int8(0), int32(oid))))
  transaction(50n, () => at.change('c'))
  expect([at.take(), at.take(), at.take(), at.take()]).toEqual([
    '10:a 20: up to 28',
    '30:b up to 38',
    '40:? up to 48',
    '50:c up to 58',
  ])
})
