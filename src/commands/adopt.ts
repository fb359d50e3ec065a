import { readConfig } from '../config/config.ts'
import { commandLine } from '../control/kit/control.ts'
import { describeDatabase } from '../domain/capture/home.ts'
import { transaction } from '../outbox/database/database.ts'
import { recordAudit } from '../outbox/records/audit.ts'
import { discardWork, moveHome } from '../outbox/source/home.ts'
import { type Command, Misuse, parseOnce, printLine, report, required } from './kit/command.ts'
import { withOutbox } from './token.ts'

export const adopt: Command = {
  usage: `  walhook adopt --discard | --continue
                                      after copying the outbox to another database: --discard makes the copy harmless
                                      (cancels pending deliveries, deactivates every webhook, restarts capture);
                                      --continue makes it take over: stop walhook on the original first`,
  async run(args) {
    const { values } = parseOnce({
      args,
      options: {
        discard: { type: 'boolean', default: false },
        continue: { type: 'boolean', default: false },
      },
    })
    if (values.discard === values.continue) throw new Misuse('adopt takes one of --discard and --continue')
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const done = await withOutbox(config, ({ outbox }) =>
      transaction(outbox.pool, async client => {
        const { from, to } = await moveHome(client)
        const discarded = values.discard ? await discardWork(client) : null
        await recordAudit(client, commandLine, 'outbox.adopted', { from, to: { ...to, ...discarded } })
        return { to, discarded }
      }),
    )
    if (!done.ok) return report([done.problem])
    const { to, discarded } = done.value
    if (discarded)
      printLine(
        `Cancelled ${discarded.deliveries} pending deliveries, deactivated ${discarded.webhooks} webhooks. Change their URLs before you activate them.`,
      )
    printLine(`The outbox now lives in ${describeDatabase(to)}.`)
    return 0
  },
}
