import type { Problem } from '../../domain/value/problem.ts'
import { whyAway } from '../../outbox/cells/reach.ts'
import { dropSchema, type Removal, removeCell } from '../../outbox/cells/remove.ts'
import { sleep } from '../../runtime/sleep.ts'
import { printLine, report } from '../kit/command.ts'
import { inCells, noCell } from './in-cells.ts'

/** Longer than processes take to hear that a cell was removed, and to let go of it. */
const letGoMs = 20_000
const maxNamed = 10

/** Removes a cell without webhooks; with `isDropped`, its schema too. */
export async function remove(name: string, isDropped: boolean): Promise<number> {
  return await inCells(async cells => {
    const cell = cells.all().find(each => each.name === name)
    if (!cell) return report([noCell(name, cells)])
    if (cell === cells.main)
      return report([
        { ...about(name), found: 'the first cell cannot be removed', mend: 'name another cell' },
      ])
    const why = await whyAway(cell)
    if (why !== null) return report([awayProblem(name, why)])
    const removal = await removeCell(cells.main, cell)
    if (!removal.ok) return report([keptProblem(name, removal)])
    const { schema } = cell.outbox
    if (!isDropped) {
      printLine(
        `cell ${name}: removed; its tables stay, until you drop them there: drop schema ${schema} cascade;`,
      )
      return 0
    }
    printLine(`cell ${name}: removed; running processes let go of it within ${letGoMs / 1_000} s`)
    await sleep(letGoMs)
    await dropSchema(cell)
    printLine(`cell ${name}: the schema ${schema} is dropped`)
    return 0
  })
}

const about = (name: string) => ({ code: 'cell' as const, what: `cell ${name}` })

const awayProblem = (name: string, why: string): Problem => ({
  ...about(name),
  found: `it does not answer, so its webhooks are unknown: ${why}`,
  mend: 'start its database; if that is lost, see "Cells" in the operating guide',
})

function keptProblem(name: string, removal: Removal & { ok: false }): Problem {
  switch (removal.why) {
    case 'no cell':
      return {
        ...about(name),
        found: 'another command removed it',
        mend: 'walhook cell list shows the others',
      }
    case 'moves':
      return {
        ...about(name),
        found: `webhooks are moving in or out: ${listed(removal.webhookIds.map(String))}`,
        mend: 'wait until the moves end; running processes end those of a killed command',
      }
    case 'webhooks':
      return {
        ...about(name),
        found: `it has webhooks: ${listed(removal.webhooks.map(each => `${each.id} ${JSON.stringify(each.name)}`))}`,
        mend: `move each to another cell (walhook cell move ${removal.webhooks[0]!.id} main), or delete it`,
      }
    default:
      return removal satisfies never
  }
}

function listed(names: readonly string[]): string {
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  return `${names.slice(0, maxNamed).join(', ')}${more}`
}
