import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { commandLine } from '../control/control.ts'
import { forgetEntity } from '../control/forget.ts'
import { type Command, Misuse, report, required, say } from './command.ts'
import { withOutbox } from './token.ts'

export const forget: Command = {
  usage: `  walhook forget --entity TYPE --id ID
                                      remove everything that is stored about an entity: events, requests, answers, and
                                      what waits to be sent; delete it in the application first`,
  async run(args, signal) {
    const { values } = parseArgs({ args, options: { entity: { type: 'string' }, id: { type: 'string' } } })
    const { entity: entityType = '', id: entityId = '' } = values
    if (entityType === '' || entityId === '') throw new Misuse('forget takes --entity TYPE and --id ID')
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const sum: Record<string, number> = {}
    for (let isComplete = false; !isComplete && !signal.aborted; ) {
      const done = await withOutbox(config, ({ outbox }) =>
        forgetEntity({ outbox, sealKey: config.sealKey }, commandLine, { entityType, entityId }),
      )
      if (!done.ok) return report([done.problem])
      const { isComplete: isAll, ...counts } = done.value
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count
      isComplete = isAll
      if (!isComplete) say('there is more: going on')
    }
    say(
      `forgotten: ${Object.entries(sum)
        .map(([name, count]) => `${count} ${name}`)
        .join(', ')}`,
    )
    return 0
  },
}
