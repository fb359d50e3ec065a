import { readConfig } from '../config/config.ts'
import { commandLine } from '../control/kit/control.ts'
import { forgetEntity } from '../control/log/forget.ts'
import type { Problem } from '../domain/value/problem.ts'
import { withCells } from './kit/cells.ts'
import {
  type Command,
  failureLines,
  parseOnce,
  printLine,
  report,
  required,
  UsageError,
} from './kit/command.ts'
import { withOutbox } from './token.ts'

/** Everything else is forgotten already. */
const notForgotten = (cell: string): Problem => ({
  code: 'cell',
  what: `cell ${cell}`,
  found: 'no answer: its data of the entity is still stored',
  mend: 'start its database, then repeat the command',
})

export const forget: Command = {
  usage: `  walhook forget --entity TYPE --id ID
                                      erase everything stored about an entity: events, requests, responses and
                                      pending deliveries; delete it in the application first`,
  async run(args, signal) {
    const { values } = parseOnce({ args, options: { entity: { type: 'string' }, id: { type: 'string' } } })
    const { entity: entityType = '', id: entityId = '' } = values
    if (entityType === '' || entityId === '') throw new UsageError('forget takes --entity TYPE and --id ID')
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const entityTypes = config.mapping.map(({ entityType }) => entityType)
    const sum: Record<string, number> = {}
    for (let isComplete = false; !isComplete && !signal.aborted; ) {
      const opened = await withOutbox(config, ({ outbox }) =>
        withCells(config, outbox, cells =>
          forgetEntity({ cells, sealKey: config.sealKey, entityTypes }, commandLine, {
            entityType,
            entityId,
          }),
        ),
      )
      const done = opened.ok ? opened.value : opened
      if (!done.ok) return report([done.problem])
      if (!done.value.ok) throw new UsageError(failureLines(done.value).join(' '))
      const { isComplete: isAll, away, ...counts } = done.value.value
      if (away.length > 0) return report(away.map(notForgotten))
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count
      isComplete = isAll
      if (!isComplete) printLine('more is left: continuing')
    }
    if (Object.values(sum).every(count => count === 0))
      printLine(
        `nothing is stored about ${entityType} ${JSON.stringify(entityId)}. Write the id as requests do`,
      )
    printLine(
      `forgotten: ${Object.entries(sum)
        .map(([name, count]) => `${count} ${name}`)
        .join(', ')}`,
    )
    return 0
  },
}
