import { readConfig } from '../config.ts'
import { commandLine } from '../control/control.ts'
import { describePlace } from '../domain/home.ts'
import { recordAudit } from '../outbox/audit.ts'
import { transaction } from '../outbox/database.ts'
import { discardWork, moveHome } from '../outbox/home.ts'
import { type Command, Misuse, parseOnce, report, required, say } from './command.ts'
import { withOutbox } from './token.ts'

export const adopt: Command = {
  usage: `  walhook adopt --discard | --continue
                                      where the outbox was copied to another database: --discard makes it a harmless copy
                                      (what waits is cancelled, every webhook deactivated, capture begins anew);
                                      --continue goes on here, where the other one is no longer run`,
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
      say(
        `${discarded.deliveries} waiting deliveries were cancelled, ${discarded.webhooks} webhooks deactivated. Change their URLs before you activate them.`,
      )
    say(`The outbox lives in ${describePlace(to)} from now on.`)
    return 0
  },
}
