import { expect, test } from 'vitest'
import { transaction } from '../../src/outbox/database/database.ts'
import { append } from '../../src/outbox/log/append.ts'
import { appendEach, isRefused } from '../../src/outbox/log/append-each.ts'
import { eventColumnsOf } from '../../src/outbox/log/event-columns.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

/** An outbox whose server has no memory for an event. */
async function openShort() {
  const at = await openTestOutbox()
  await at.outbox.pool.query(`
    create function walhook.no_memory() returns trigger language plpgsql as $$
    begin raise exception 'out of memory' using errcode = 'out_of_memory'; end $$;
    create trigger no_memory before insert on walhook.events for each row execute function walhook.no_memory()`)
  const each = async (input: Parameters<typeof append>[1]) => {
    const refusal = await append(at.outbox.pool, input).catch(error => error)
    expect(isRefused(refusal)).toBe(true)
    const events = eventColumnsOf(input.events as never)
    return await transaction(at.outbox.pool, client => appendEach(client, { ...input, events }))
  }
  return { ...at, each }
}

test('an outbox that is short of memory for a moment parks nothing: the event is stored when it has some', async () => {
  await using at = await openShort()
  const input = at.nextAppend('user 1 new')
  await expect(at.each(input)).rejects.toThrow('out of memory')
  expect([await at.count('events'), await at.count('parked_changes')]).toEqual([0, 0])
  await at.outbox.pool.query('drop trigger no_memory on walhook.events')
  await append(at.outbox.pool, input)
  expect([await at.count('events'), await at.count('parked_changes')]).toEqual([1, 0])
})

test('an event that is larger than the memory of the server is parked, and the log continues', async () => {
  await using at = await openShort()
  const input = at.nextAppend('user 1 new')
  const events = input.events.map(event => ({ ...event, body: `"${'x'.repeat(16_000_000)}"` }))
  const { setAside } = await at.each({ ...input, events })
  expect(setAside).toMatchObject([{ entityId: '1', reason: expect.stringContaining('out of memory') }])
  expect([await at.count('events'), await at.count('parked_changes')]).toEqual([0, 1])
})
