import { readConfig } from '../config.ts'
import { commandLine } from '../control/kit/control.ts'
import { forgetEntity } from '../control/log/forget.ts'
import { type Command, failureLines, Misuse, parseOnce, report, required, say } from './kit/command.ts'
import { withOutbox } from './token.ts'

export const forget: Command = {
  usage: `  walhook forget --entity TYPE --id ID
                                      remove everything that is stored about an entity: events, requests, answers, and
                                      what waits to be sent; delete it in the application first`,
  async run(args, signal) {
    const { values } = parseOnce({ args, options: { entity: { type: 'string' }, id: { type: 'string' } } })
    const { entity: entityType = '', id: entityId = '' } = values
    if (entityType === '' || entityId === '') throw new Misuse('forget takes --entity TYPE and --id ID')
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const entityTypes = config.mapping.map(({ entityType }) => entityType)
    const sum: Record<string, number> = {}
    for (let isComplete = false; !isComplete && !signal.aborted; ) {
      const done = await withOutbox(config, ({ outbox }) =>
        forgetEntity({ outbox, sealKey: config.sealKey, entityTypes }, commandLine, { entityType, entityId }),
      )
      if (!done.ok) return report([done.problem])
      if (!done.value.ok) throw new Misuse(failureLines(done.value).join(' '))
      const { isComplete: isAll, ...counts } = done.value.value
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count
      isComplete = isAll
      if (!isComplete) say('more remains: continuing')
    }
    if (Object.values(sum).every(count => count === 0))
      say(
        `nothing is stored about ${entityType} ${JSON.stringify(entityId)}. Write the id as requests write it`,
      )
    say(
      `forgotten: ${Object.entries(sum)
        .map(([name, count]) => `${count} ${name}`)
        .join(', ')}`,
    )
    return 0
  },
}
