import type { ParseArgsConfig, parseArgs } from 'node:util'
import { readClientConfig } from '../../config/client-config.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { type Command, parseOnce, report, UsageError } from '../kit/command.ts'
import { type Call, openCall } from './call.ts'

/** Asks for `call` once its arguments are read; null: the configuration is wrong, and its problems are printed. */
type Subcommand = {
  readonly options: readonly string[]
  run(args: string[], call: () => Call | null): Promise<number>
}
/** By name. */
export type Subcommands = Readonly<Record<string, Subcommand>>

type Options = NonNullable<ParseArgsConfig['options']>
type Given<Known extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; allowPositionals: true; options: Known }>
>

/** A subcommand that takes arguments and these options, and resolves with the exit status. */
export function subcommand<const Known extends Options>(
  options: Known,
  run: (given: Given<Known>, call: () => Call | null) => Promise<number>,
): Subcommand {
  return {
    options: Object.keys(options).map(name => `--${name}`),
    run: (args, call) => run(parseOnce({ args, allowPositionals: true, options }), call),
  }
}

/** A command whose first argument chooses what it does with a running walhook. */
export function ofSubcommands(command: string, subcommands: Subcommands): Omit<Command, 'usage'> {
  const names = Object.keys(subcommands)
  return {
    optionsOfWords: Object.fromEntries(names.map(name => [name, subcommands[name]!.options])),
    words: names,
    async run([name, ...args]) {
      const chosen = name !== undefined && Object.hasOwn(subcommands, name) && subcommands[name]
      if (!chosen) throw new UsageError(unknown(name))
      return await chosen.run(args, () => {
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
