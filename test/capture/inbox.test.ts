import { expect, test } from 'vitest'
import type { Message } from '../../src/capture/decode.ts'
import { createInbox } from '../../src/capture/inbox.ts'
import type { Change } from '../../src/domain/change.ts'

const relation = { oid: 1, schema: 'public', name: 'users', identity: 'default' as const, columns: [] }
const change = (id: string): Change => ({ kind: 'insert', relation, row: [id] })
const committedAt = new Date(0)

function open(maxBytes = 1_000) {
  const flow: string[] = []
  const inbox = createInbox({
    maxBytes,
    onFull: () => flow.push('full'),
    onDrained: () => flow.push('drained'),
  })
  const tell = (message: Message, bytes = 10) => inbox.onMessage(message, bytes)
  return {
    inbox,
    flow,
    begin: (commitLsn: bigint) => tell({ kind: 'begin', commitLsn, committedAt, xid: 7 }),
    change: (id: string, bytes = 10) => tell({ kind: 'change', change: change(id) }, bytes),
    commit: (commitLsn: bigint) => tell({ kind: 'commit', commitLsn, endLsn: commitLsn + 8n }),
    /** One batch in short: its kind, the ids of each transaction in it, and how far it may be confirmed. */
    async take() {
      const batch = await inbox.take()
      if (!batch) return null
      const ids = (part: { changes: Change[] }) =>
        part.changes.map(each => (each.kind === 'insert' ? each.row[0] : null)).join('')
      return batch.kind === 'chunk'
        ? `chunk ${ids(batch.part)}`
        : `${batch.parts.map(part => `${part.commitLsn}:${ids(part)}`).join(' ')} up to ${batch.confirmLsn}`
    },
  }
}

test('whole transactions that came meanwhile are one batch, confirmed to the end of the last', async () => {
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
  expect(await at.take()).toBe('10:ab 20:c up to 28')
  at.commit(30n)
  expect(await at.take()).toBe('30:d up to 38')
})

test('whoever waits is given the batch as soon as there is one', async () => {
  const at = open()
  const taken = at.take()
  at.begin(10n)
  at.change('a')
  at.commit(10n)
  expect(await taken).toBe('10:a up to 18')
})

test('a keepalive between transactions is reached once what came before it is stored; inside one it says nothing', async () => {
  const at = open()
  at.inbox.onKeepalive(5n)
  expect(await at.take()).toBe(' up to 5')
  at.begin(10n)
  at.change('a')
  const taken = at.take()
  at.inbox.onKeepalive(500n)
  await new Promise(setImmediate)
  at.commit(10n)
  expect(await taken).toBe('10:a up to 18')
  at.begin(30n)
  at.commit(30n)
  at.inbox.onKeepalive(100n)
  at.inbox.onKeepalive(90n)
  expect(await at.take()).toBe('30: up to 100')
})

test('a transaction that is too large comes in chunks, of which only the last says how far it reaches', async () => {
  const at = open(100)
  at.begin(10n)
  for (const id of 'abcde') at.change(id)
  expect(await at.take()).toBe('chunk abcde')
  for (const id of 'fghij') at.change(id)
  expect(await at.take()).toBe('chunk fghij')
  at.change('k')
  at.commit(10n)
  expect(await at.take()).toBe('10:k up to 18')
})

test('whole transactions go first when the next one is already large', async () => {
  const at = open(100)
  at.begin(10n)
  at.change('a')
  at.commit(10n)
  at.begin(20n)
  for (const id of 'bcdef') at.change(id)
  expect(await at.take()).toBe('10:a up to 18')
  expect(await at.take()).toBe('chunk bcdef')
})

test('reading stops at the bound and goes on when half is stored, once each', async () => {
  const at = open(100)
  at.begin(10n)
  at.change('a', 99)
  expect(at.flow).toEqual([])
  at.change('b', 1)
  at.change('c', 50)
  expect(at.flow).toEqual(['full'])
  await at.take()
  expect(at.flow).toEqual(['full', 'drained'])
  at.commit(10n)
  expect(at.flow).toEqual(['full', 'drained'])
})

test('a probe is a batch of its own where nothing else has come, and confirms nothing', async () => {
  const at = open()
  at.inbox.onMessage({ kind: 'probe', id: '17' }, 10)
  expect(await at.inbox.take()).toEqual({ kind: 'complete', parts: [], confirmLsn: 0n, probe: '17' })
})

test('whole transactions that wait count for the bound, and reading goes on below half of it', async () => {
  const at = open(100)
  at.begin(10n)
  at.change('a', 40)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 40)
  at.commit(20n)
  at.begin(30n)
  at.change('c', 20)
  expect(at.flow).toEqual(['full'])
  expect(await at.take()).toBe('10:a 20:b up to 28')
  expect(at.flow).toEqual(['full', 'drained'])
  at.change('d', 79)
  expect(at.flow).toEqual(['full', 'drained'])
  at.change('e', 1)
  expect(at.flow).toEqual(['full', 'drained', 'full'])
})

test('reading does not go on while what is left of an open transaction is half of the bound', async () => {
  const at = open(100)
  at.begin(10n)
  at.change('a', 50)
  at.commit(10n)
  at.begin(20n)
  at.change('b', 50)
  expect(await at.take()).toBe('10:a up to 18')
  expect(at.flow).toEqual(['full'])
  expect(await at.take()).toBe('chunk b')
  expect(at.flow).toEqual(['full', 'drained'])
})

test('whoever waits for a large transaction is given a chunk at half of the bound', async () => {
  const at = open(100)
  const taken = at.take()
  at.begin(10n)
  at.change('a', 49)
  at.change('b', 1)
  expect(await taken).toBe('chunk ab')
})

test('where reading was not stopped, taking does not say that it goes on', async () => {
  const at = open(100)
  at.begin(10n)
  at.change('a', 60)
  at.commit(10n)
  await at.take()
  expect(at.flow).toEqual([])
})

test('closing gives nothing more, also to whoever waits', async () => {
  const at = open()
  const taken = at.take()
  at.inbox.close()
  expect(await taken).toBeNull()
  at.begin(10n)
  at.commit(10n)
  expect(await at.take()).toBeNull()
})

test('changes and commits outside a transaction are refused', () => {
  expect(() => open().change('a')).toThrow('outside a transaction')
  expect(() => open().commit(1n)).toThrow('did not begin')
})
