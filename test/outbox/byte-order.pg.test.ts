import { expect, test } from 'vitest'
import type { Entity } from '../../src/domain/event/entity.ts'
import { replay } from '../../src/outbox/by-hand/replay.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { knownEntityPages } from '../../src/outbox/source/gaps.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'
import { claim, holderOf } from '../support/sending.ts'

/** In JavaScript's order ～ is behind 😀, and in that of English B is behind a. */
const ids = [
  'B',
  'a',
  '～',
  '😀',
  'A',
  'b',
  'é',
  'e',
  'f',
  'a-b',
  'ab',
  '10',
  '9',
  '',
  'Ａ',
  '\u{10ffff}',
  '\uffff',
]

const everything = { of: 'range', from: 0n, to: 2n ** 62n, triggers: null } as const

async function sortsAsEnglish({ outbox }: TestOutbox): Promise<boolean> {
  const { rows } = await outbox.pool.query(`select 'a' < 'B' as is_english`)
  return rows[0].is_english
}

const notEnglish =
  'text is sorted by its bytes in this database: the server has no ICU, or is older than PostgreSQL 15'

test('pages ordered by entity contain each entity once under every collation', async context => {
  for (const pageSize of [1, 2, 5]) {
    await using at = await openTestOutbox()
    if (!(await sortsAsEnglish(at))) context.skip(notEnglish)
    const webhookId = await at.webhook(everyUser)
    await holderOf(at)
    await at.append(...ids.map(id => `user ${id} new`))
    const { rows } = await at.outbox.pool.query('select max(id) as head from walhook.events')
    // All of it is settled, as if it had been delivered.
    await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [rows[0].head])

    let after: Entity | null = null
    let queued = 0
    do {
      let pages = 0
      const part: Awaited<ReturnType<typeof replay>> = await replay(
        at.outbox,
        { webhookId, source: everything, after, pageEvents: pageSize },
        { isTimeOver: () => pages++ > 0, onQueued: async () => {} },
      )
      if (part.state !== 'queued') throw new Error(part.state)
      queued += part.queued
      after = part.next
    } while (after !== null)
    expect(queued).toBe(ids.length)
    const claimed = await claim(at, webhookId)
    expect(claimed.map(({ entityId }) => entityId).toSorted()).toEqual(ids.toSorted())

    const known = await transaction(at.outbox.pool, async client => {
      const pages = knownEntityPages(client, 'user', { upToId: 2n ** 62n, pageSize })
      return (await Array.fromAsync(pages)).flat()
    })
    expect(known.map(({ entityId }) => entityId).toSorted()).toEqual(ids.toSorted())
  }
})
