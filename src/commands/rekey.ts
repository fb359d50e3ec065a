import { type Config, readConfig } from '../config/config.ts'
import { commandLine } from '../control/kit/control.ts'
import { rekey as reseal } from '../control/webhooks/secrets.ts'
import { unreadableProblem } from '../databases.ts'
import type { Problem } from '../domain/value/problem.ts'
import { nonceBytes } from '../domain/webhook/seal.ts'
import type { CellState, Cells } from '../outbox/cells/cells.ts'
import { resealUrls } from '../outbox/cells/registry.ts'
import { withCells } from './kit/cells.ts'
import { type Command, parseOnce, printLine, report, required } from './kit/command.ts'
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
    printLine(`re-encrypted webhooks: ${done.value.webhooks}, stored responses: ${done.value.answers}`)
    return 0
  },
}

type Sums = { webhooks: number; answers: number }
type Done = { ok: true; value: Sums } | { ok: false; problem: Problem }

/** Encrypts everything again that another key has encrypted, in every cell; returns how much. Repeatable. */
async function rekeySecrets(config: Config): Promise<Done> {
  const sealKey = config.sealKey!
  const done = await withOutbox(config, control =>
    withCells(config, control.outbox, cells => rekeyCells({ ...control, sealKey }, cells)),
  )
  if (!done.ok) return done
  return done.value.ok ? done.value.value : done.value
}

/** One transaction per cell. The addresses come last: until then, both keys are needed anyway. */
async function rekeyCells(control: Parameters<typeof reseal>[0], cells: Cells): Promise<Done> {
  const { sealKey, randomBytes } = control
  const away = (await cells.states()).find(({ isAway }) => isAway)
  if (away) return { ok: false, problem: cellAway(away) }
  const sums: Sums = { webhooks: 0, answers: 0 }
  for (const { outbox } of cells.all()) {
    const done = await reseal({ ...control, outbox }, commandLine)
    if (!done.ok) return { ok: false, problem: unreadableProblem(done.unreadable, sealKey) }
    sums.webhooks += done.webhooks
    sums.answers += done.answers
  }
  await resealUrls(cells.main.outbox, sealKey, () => randomBytes(nonceBytes))
  return { ok: true, value: sums }
}

const cellAway = ({ name, why }: CellState): Problem => ({
  code: 'cell',
  what: `cell ${name}`,
  found: `does not respond (${why}), but holds secrets of its webhooks`,
  mend: 'start its database, then run walhook rekey again. Keep WALHOOK_SECRET_KEY_OLD until then',
})
