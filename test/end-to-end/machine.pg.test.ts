import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyCommands } from '../support/machine/commands.ts'
import { openMachine } from '../support/machine/machine.ts'

/** MACHINE_RUNS (2) random runs of MACHINE_COMMANDS (30) commands; MACHINE_SEED and MACHINE_PATH repeat one, and with MACHINE_TELLS=1 each step is told. */
const numRuns = Number(process.env.MACHINE_RUNS || 2)
const max = Number(process.env.MACHINE_COMMANDS || 30)
const seed = process.env.MACHINE_SEED ? Number(process.env.MACHINE_SEED) : undefined
/** With a long one, what a dead process has sent is still under way when another one takes over. */
const deadlines = fc.constantFrom(400, 400, 5_000)

test(
  'under random failures and changes, a receiver gets everything it wants, and only what the model allows',
  async () => {
    await fc.assert(
      fc.asyncProperty(anyCommands(max), deadlines, async (commands, deadlineMs) => {
        await using machine = await openMachine({ deadlineMs })
        const story = () => machine.history.join('\n')
        for (const command of commands) await command.run({}, machine)
        await machine.comeToRest().catch(async error => {
          throw new Error(`${error.message}\n${story()}\n${await machine.whatWaits()}`)
        })
        const missing = machine.model.missing(await machine.superseded())
        expect([...machine.model.faults, ...missing], `${story()}\n${await machine.storyOfFault()}`).toEqual(
          [],
        )
      }),
      {
        numRuns,
        endOnFailure: true,
        ...(seed !== undefined && { seed, path: process.env.MACHINE_PATH || '' }),
      },
    )
  },
  numRuns * 240_000,
)
