import type pg from 'pg'
import { type EventKey, ofEvent, rowOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'

const lockStatement = statement(
  'lock_rows',
  { webhookId: 'int', keys: rows<EventKey>(ofEvent) },
  p => `select 1 from ${p.keys('s')} cross join ${rowOfS('1', p.webhookId, 'for no key update')} d`,
)

/**
 * Locks untaken rows of a webhook, which an early retry or an admin may be changing. The next statement finds each at its
 * final place.
 */
export async function lockRows(
  client: pg.ClientBase,
  locked: { webhookId: number; keys: readonly EventKey[] },
): Promise<void> {
  if (locked.keys.length > 0) await lockStatement(client, locked)
}
