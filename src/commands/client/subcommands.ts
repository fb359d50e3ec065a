import { readClientConfig } from '../../config.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { type Command, Misuse, report } from '../kit/command.ts'
import { type Call, openCall } from './call.ts'

/** By name. Each asks for `call` once its arguments are read; null: the configuration is wrong, and was told so. */
export type Subcommands = Readonly<
  Record<string, (args: string[], call: () => Call | null) => Promise<number>>
>

/** A command whose first argument chooses what it does with a running walhook. */
export function ofSubcommands(command: string, subcommands: Subcommands): Omit<Command, 'usage'> {
  const names = Object.keys(subcommands)
  return {
    words: names,
    async run([name, ...args]) {
      const subcommand = name !== undefined && Object.hasOwn(subcommands, name) && subcommands[name]
      if (!subcommand) throw new Misuse(unknown(name))
      return await subcommand(args, () => {
        const { warnings, ...result } = readClientConfig()
        report(warnings)
        if (result.ok) return openCall(result.config)
        report(result.problems)
        return null
      })
    },
  }

  function unknown(name: string | undefined): string {
    if (name === undefined) return `${command} takes one of ${names.join(', ')}`
    const meant = nearest(name, names)
    return `${command} has no ${JSON.stringify(name)}${meant === null ? `: it takes one of ${names.join(', ')}` : `: did you mean ${meant}?`}`
  }
}
