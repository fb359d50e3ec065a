import { readConfig } from '../config/config.ts'
import { commandLine } from '../control/kit/control.ts'
import { describeDatabase } from '../domain/capture/home.ts'
import type { Problem } from '../domain/value/problem.ts'
import { adoptCell, forgetCells } from '../outbox/cells/adopt.ts'
import type { Cells } from '../outbox/cells/cells.ts'
import { type Outbox, transaction } from '../outbox/database/database.ts'
import { recordAudit } from '../outbox/records/audit.ts'
import { discardWork, moveHome, readOutboxId } from '../outbox/source/home.ts'
import { describeError } from '../runtime/log.ts'
import { withCells } from './kit/cells.ts'
import { type Command, parseOnce, printLine, report, required, UsageError } from './kit/command.ts'
import { withOutbox } from './token.ts'

export const adopt: Command = {
  usage: `  walhook adopt --discard | --continue
                                      after copying the outbox to another database: --discard makes the copy harmless
                                      (cancels pending deliveries, deactivates every webhook, restarts capture,
                                      forgets cells); --continue makes it take over, with its cells: stop walhook on
                                      the original first`,
  async run(args) {
    const { values } = parseOnce({
      args,
      options: {
        discard: { type: 'boolean', default: false },
        continue: { type: 'boolean', default: false },
      },
    })
    if (values.discard === values.continue)
      throw new UsageError('adopt takes one of --discard and --continue')
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const done = await withOutbox(config, ({ outbox }) =>
      withCells(config, outbox, cells => (values.discard ? discard(outbox) : takeOver(outbox, cells))),
    )
    const adopted = done.ok ? done.value : done
    return adopted.ok ? adopted.value : report([adopted.problem])
  },
}

/** Makes a copy harmless. Its cells stay with the original, which uses them. */
async function discard(outbox: Outbox): Promise<number> {
  const { to, discarded, forgotten } = await transaction(outbox.pool, async client => {
    const { from, to } = await moveHome(client, { ifElsewhere: false })
    const discarded = await discardWork(client)
    const forgotten = await forgetCells(client)
    await recordAudit(client, commandLine, 'outbox.adopted', { from, to: { ...to, ...discarded } })
    return { to, discarded, forgotten }
  })
  printLine(
    `Cancelled ${discarded.deliveries} pending deliveries, deactivated ${discarded.webhooks} webhooks. Change their URLs before you activate them.`,
  )
  if (forgotten.length > 0)
    printLine(`Forgot the cells ${forgotten.join(', ')}, which belong to the original, with their webhooks.`)
  printLine(`The outbox now lives in ${describeDatabase(to)}.`)
  return 0
}

/** A cell that does not answer stays with the former outbox until the command runs again. */
async function takeOver(outbox: Outbox, cells: Cells): Promise<number> {
  const to = await transaction(outbox.pool, async client => {
    const { from, to } = await moveHome(client, { ifElsewhere: true })
    await recordAudit(client, commandLine, 'outbox.adopted', { from, to })
    return to
  })
  printLine(`The outbox now lives in ${describeDatabase(to)}.`)
  const owner = (await readOutboxId(outbox.pool))!
  const problems: Problem[] = []
  for (const cell of cells.all().filter(each => each !== cells.main))
    try {
      await adoptCell(cell.outbox, owner)
      printLine(`The cell ${cell.name} belongs to it.`)
    } catch (error) {
      problems.push({
        code: 'cell',
        what: `cell ${cell.name}`,
        found: `not adopted: ${describeError(error)}`,
        mend: 'start its database, then run the command again; a new URL: walhook cell add',
      })
    }
  return problems.length > 0 ? report(problems) : 0
}
