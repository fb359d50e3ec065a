import type { Config } from '../../config/config.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Cells, createCells } from '../../outbox/cells/cells.ts'
import { listCells } from '../../outbox/cells/registry.ts'
import { type Outbox, openOutbox } from '../../outbox/database/database.ts'

/** Runs work with the cells of an outbox, and closes their connections. Cells of other databases need WALHOOK_SECRET_KEY. */
export async function withCells<T>(
  { sealKey }: Config,
  outbox: Outbox,
  work: (cells: Cells) => Promise<T>,
): Promise<{ ok: true; value: T } | { ok: false; problem: Problem }> {
  const isSealed = (await listCells(outbox)).some(({ url }) => url !== null)
  if (isSealed && !sealKey) return { ok: false, problem: keyMissing }
  const opened: Outbox[] = []
  const cells = createCells({
    main: outbox,
    sealKey: sealKey!,
    open({ url, schema }) {
      const cell = openOutbox({ url, schema, maxConnections: 4, onError: () => {} })
      opened.push(cell)
      return cell
    },
  })
  try {
    await cells.refresh()
    return { ok: true, value: await work(cells) }
  } finally {
    for (const cell of opened) await cell[Symbol.asyncDispose]()
  }
}

const keyMissing: Problem = {
  code: 'secret_key',
  what: 'WALHOOK_SECRET_KEY',
  found: 'not set, but it decrypts the URLs of cells',
  mend: 'set it to the key with which walhook runs',
}
