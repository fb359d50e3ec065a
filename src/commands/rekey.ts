import { type Config, readConfig } from '../config.ts'
import { commandLine } from '../control/kit/control.ts'
import { rekey as sealAnew } from '../control/webhooks/secrets.ts'
import { unreadableProblem } from '../databases.ts'
import type { Problem } from '../domain/value/problem.ts'
import { type Command, parseOnce, report, required, say } from './kit/command.ts'
import { withOutbox } from './token.ts'

export const rekey: Command = {
  usage: `  walhook rekey                       after a change of WALHOOK_SECRET_KEY: re-encrypt everything that was encrypted
                                      with WALHOOK_SECRET_KEY_OLD`,
  async run(args) {
    parseOnce({ args })
    const config = required(readConfig(['OUTBOX_DATABASE_URL', 'WALHOOK_SECRET_KEY']))
    if (!config) return 1
    const done = await rekeySecrets(config)
    if (!done.ok) return report([done.problem])
    say(`re-encrypted webhooks: ${done.value.webhooks}, kept answers: ${done.value.answers}`)
    return 0
  },
}

/** Re-seals all secrets sealed with another key; returns their number. */
async function rekeySecrets(
  config: Config,
): Promise<{ ok: true; value: { webhooks: number; answers: number } } | { ok: false; problem: Problem }> {
  const sealKey = config.sealKey!
  const done = await withOutbox(config, control => sealAnew({ ...control, sealKey }, commandLine))
  if (!done.ok) return done
  if (done.value.ok) return { ok: true, value: done.value }
  return { ok: false, problem: unreadableProblem(done.value.unreadable, sealKey) }
}
