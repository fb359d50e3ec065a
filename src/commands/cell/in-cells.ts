import { type Config, readConfig } from '../../config/config.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Cells } from '../../outbox/cells/cells.ts'
import { type Outbox, openOutbox } from '../../outbox/database/database.ts'
import { readOutboxId } from '../../outbox/source/home.ts'
import { withCells } from '../kit/cells.ts'
import { report, required } from '../kit/command.ts'
import { migrateOutbox } from '../kit/migrate-outbox.ts'

/** With the cells of the main outbox. */
export async function inCells(work: (cells: Cells) => Promise<number>): Promise<number> {
  const opened = await openMain()
  if (typeof opened === 'number') return opened
  await using main = opened.main
  const done = await withCells(opened.config, main, work)
  return done.ok ? done.value : report([done.problem])
}

export const noCell = (name: string, cells: Cells): Problem => ({
  code: 'cell',
  what: `cell ${name}`,
  found: 'no such cell',
  mend: `name one of ${cells
    .all()
    .map(cell => cell.name)
    .join(', ')}; walhook cell list describes them`,
})

/** The migrated main outbox, which has been at work; else the exit status. */
export async function openMain(): Promise<{ config: Config; main: Outbox } | number> {
  const config = required(readConfig(['OUTBOX_DATABASE_URL', 'WALHOOK_SECRET_KEY']))
  if (!config) return 1
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return report([migrated.problem])
  const main = openOutbox({ url: config.outboxUrl!, maxConnections: 6, onError: () => {} })
  if ((await readOutboxId(main.pool)) !== null) return { config, main }
  await main[Symbol.asyncDispose]()
  return report([
    {
      code: 'cell',
      what: 'the main outbox',
      found: 'walhook has never run with it',
      mend: 'start walhook once: walhook serve',
    },
  ])
}
