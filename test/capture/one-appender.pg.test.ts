import { expect, test } from 'vitest'
import { openSource } from '../../src/capture/source/source.ts'
import { setUp } from '../../src/capture/start/setup.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { append, PositionMoved } from '../../src/outbox/log/append.ts'
import { readLog } from '../../src/outbox/log/log.ts'
import { createPosition, renameSlot } from '../../src/outbox/log/position.ts'
import { connect } from '../support/connect.ts'
import { openTestOutbox, slotName, waiters } from '../support/open-outbox.ts'
import { headOfLog } from '../support/read-outbox.ts'
import { until } from '../support/wait.ts'

const all = { after: 0n, limit: 1_000, maxBytes: 1e9 }

test('an outbox has one position: a second slot is refused, and a replacement slot continues it', async () => {
  await using at = await openTestOutbox()
  const start = { systemIdentifier: '1', commitLsn: 0n }
  await createPosition(at.outbox.pool, slotName, start)
  await expect(createPosition(at.outbox.pool, 'another', start)).rejects.toThrow('positions_only_one')
  const [last] = await at.append('user 1 new')
  const client = await at.outbox.pool.connect()
  await renameSlot(client, slotName, 'another')
  client.release()
  expect(await headOfLog(at.outbox)).toBe(last)
  await expect(append(at.outbox.pool, at.nextAppend('user 2 new'))).rejects.toThrow(PositionMoved)
})

test('when two slots begin at once, one is refused and retains no WAL', async () => {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  await pool.query(`delete from walhook.positions;
    create table users (id integer primary key); create table companies (id integer primary key)`)
  await using source = openSource({ url: at.database.url, onError() {} })
  await using other = await connect(at.database.url)
  await other.query(
    `begin; insert into walhook.positions (slot_name, system_identifier, commit_lsn) values ('another', '1', '0/1')`,
  )
  const mine = at.database.name.slice(0, 63)
  const options = { slotName: mine, publicationName: 'walhook', mapping: defaultMapping, onWaiting() {} }
  const begun = setUp(source, at.outbox, options).then(
    () => 'begun',
    error => error.constraint,
  )
  await until(async () => (await waiters(at)) > 0, { what: 'the second to wait for the first' })
  await other.query('commit')
  expect(await begun).toBe('positions_only_one')
  const { rows } = await pool.query('select slot_name from pg_replication_slots where slot_name = $1', [mine])
  expect(rows).toEqual([])
  const next = await setUp(source, at.outbox, options)
  expect(next.kind === 'blocked' && next.problems[0]?.found).toContain('not the slot another')
})

test.each(['dies', 'commits'])(
  'a takeover in the middle of a large transaction waits for it, and when it %s nothing is stored twice',
  async outcome => {
    await using at = await openTestOutbox()
    const [first] = await at.append('user 1 new')
    const [one, two] = [at.nextAppend('user 2 new'), at.nextAppend('user 3 new')]
    const old = await connect(at.database.url)
    old.on('error', () => {})
    await old.query('begin')
    await append(old as never, one)
    await append(old as never, { ...two, expected: one.commitLsn })
    expect(await headOfLog(at.outbox)).toBe(first)

    const next = at.nextAppend('user 4 new')
    const taken = append(at.outbox.pool, { ...next, expected: one.expected }).then(
      () => 'stored',
      error => (error instanceof PositionMoved ? 'moved' : error),
    )
    await until(async () => (await waiters(at)) > 0, { what: 'the other process to wait' })
    expect(await headOfLog(at.outbox)).toBe(first)
    if (outcome === 'commits') await old.query('commit')
    else
      await at.outbox.pool.query('select pg_terminate_backend($1)', [
        (old as never as { processID: number }).processID,
      ])
    expect(await taken).toBe(outcome === 'commits' ? 'moved' : 'stored')
    const { events } = await readLog(at.outbox, all)
    expect(events.map(({ entityId }) => entityId)).toEqual(
      outcome === 'commits' ? ['1', '2', '3'] : ['1', '4'],
    )
    expect(await headOfLog(at.outbox)).toBe(events.at(-1)!.id)
    await old.end().catch(() => {})
  },
)
