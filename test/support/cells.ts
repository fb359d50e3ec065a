import type { Cell } from '../../src/outbox/cells/cells.ts'
import { prepareCell } from '../../src/outbox/cells/prepare.ts'
import { insertCell } from '../../src/outbox/cells/registry.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { settleHome } from '../../src/outbox/source/home.ts'
import type { TestOutbox } from './open-outbox.ts'

/** Adds a cell in another schema of a test's database. */
export async function addTestCell(at: TestOutbox, name: string) {
  await settleHome(at.outbox.pool, { isSource: false })
  const schema = `walhook_${name}`
  const outbox = openOutbox({ url: at.database.url, schema, maxConnections: 10, onError() {} })
  const registered = await insertCell(at.outbox.pool, { name, schema, url: null })
  const prepared = await prepareCell(at.outbox, outbox, registered, { placing: 'plain', nowMs: Date.now() })
  if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems))
  const cell: Cell = { name, outbox }
  return Object.assign(cell, { [Symbol.asyncDispose]: () => outbox[Symbol.asyncDispose]() })
}
