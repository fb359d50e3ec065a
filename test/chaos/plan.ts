import { readFile } from 'node:fs/promises'
import { randomFrom } from '../support/random.ts'
import { type Operation, pick } from './operation.ts'
import { columnOperations } from './operations/columns.ts'
import { processOperations } from './operations/processes.ts'
import { publicationOperations } from './operations/publication.ts'
import { settingOperations } from './operations/settings.ts'
import { slotOperations } from './operations/slot.ts'
import { tableOperations } from './operations/tables.ts'

/** An operation, with the seed of all that is random in it and the rest after it. */
export type Planned = { readonly name: string; readonly seed: number; readonly restMs: number }

const operations: readonly Operation[] = [
  ...processOperations,
  ...publicationOperations,
  ...slotOperations,
  ...columnOperations,
  ...tableOperations,
  ...settingOperations,
]

export const operationOf = (name: string): Operation => operations.find(each => each.name === name)!

/** Rounds of one to eight operations whose names match; the weights say how often each comes. In some, walhook is stopped. */
export function* planRounds(seed: number, only: RegExp): Generator<Planned[]> {
  const random = randomFrom(seed)
  const bag = operations
    .filter(({ name }) => only.test(name))
    .flatMap(operation => Array.from({ length: operation.weight }, () => operation))
  const nextSeed = () => Math.floor(random() * 2 ** 31)
  for (;;) {
    const isStopped = random() < 0.4 && only.test('stop walhook')
    const round = Array.from({ length: Math.ceil(random() * random() * 8) }, () => ({
      name: pick(random, bag).name,
      seed: nextSeed(),
      restMs: Math.floor(random() * random() * 1_500),
    }))
    if (isStopped) round.unshift({ name: 'stop walhook', seed: nextSeed(), restMs: 300 })
    yield round
  }
}

/** The rounds that the log of another run has, or what is left of it. */
export async function* replayRounds(file: string): AsyncGenerator<Planned[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  const operated = lines.map(line => JSON.parse(line)).filter(({ operation }) => operation)
  for (const round of Map.groupBy(operated, line => line.round).values())
    yield round.map(({ operation, seed, restMs }) => ({ name: operation, seed, restMs }))
}
