import type { Change, Relation } from '../../domain/capture/change.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { EntityMapping, RelatedList } from '../../domain/mapping/mapping.ts'
import type { Queryable } from '../source/source.ts'
import type { TransactionPart } from '../stream/batch.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { type Found, findOwners, many } from './found-owners.ts'
import { type OwnerPlan, ownersOf, rowAfter } from './owners.ts'
import { readExisting } from './read-existing.ts'
import type { ReceivedRows } from './received-rows.ts'

type Planned = { readonly isFull: boolean; readonly indirect: readonly OwnerPlan[] }
type PlanOf = (relation: Relation) => Planned
type RowChange = Exclude<Change, { kind: 'truncate' | 'unreadable' }>

/** The entities of changed rows that they show through other tables. */
export type Reach = {
  /** Those of one value. */
  of(plan: OwnerPlan, value: string): Found
  /** The rows to send page by page. */
  readonly fanOuts: readonly FanOut[]
}

const nobody: Found = { keys: [], isMore: false }
export const reachesNobody: Reach = { of: () => nobody, fanOuts: [] }

/** More values of one table become one fan-out: everything that leads through it. */
const maxValues = 20
/** A longer value is not stored alone. */
const maxValueBytes = 1_024

type Asked = {
  readonly entity: EntityMapping
  readonly list: RelatedList
  readonly at: number
  readonly values: Set<string>
  /** A TRUNCATE removed unnamed rows. */
  isEmptied: boolean
}

/** Finds the entities of a batch's changes, with one query per changed table of a related field. */
export async function findReach(
  db: Queryable,
  catalogue: Catalogue,
  parts: readonly TransactionPart[],
  planOf: PlanOf,
  receivedRows: ReceivedRows,
): Promise<Reach> {
  const asked = new Map<string, Asked>()
  for (const { changes } of parts) for (const change of changes) ask(asked, change, planOf)
  if (asked.size === 0) return reachesNobody
  const found = new Map<string, ReadonlyMap<string, Found>>()
  const fanOuts: FanOut[] = []
  for (const [name, each] of asked) {
    const values = [...each.values]
    const broken = new Map<string, Found>()
    const read = await readExisting(
      values,
      some => findOwners(db, catalogue, each, some, receivedRows.isReceived),
      value => broken.set(value, many),
    )
    const owners = new Map([...(read ?? []), ...broken])
    found.set(name, owners)
    fanOuts.push(
      ...fanOutsOf(
        each,
        values.filter(value => owners.get(value)?.isMore),
      ),
    )
  }
  return { of: (plan, value) => found.get(nameOf(plan))?.get(value) ?? nobody, fanOuts }
}

function ask(asked: Map<string, Asked>, change: Change, planOf: PlanOf): void {
  if (change.kind === 'unreadable') return
  if (change.kind === 'truncate') {
    for (const relation of change.relations)
      for (const plan of planOf(relation).indirect) askedOf(asked, plan).isEmptied = true
    return
  }
  for (const { plan, values } of indirectValues(change, planOf(change.relation)))
    for (const value of values) askedOf(asked, plan).values.add(value)
}

/** The values by which tables lead to a changed row, before and after the change. */
export function indirectValues(
  change: RowChange,
  { isFull, indirect }: Planned,
): { plan: OwnerPlan; values: readonly string[] }[] {
  if (indirect.length === 0) return []
  const row = rowAfter(change)
  return indirect.map(plan => ({
    plan,
    values: [...ownersOf(change, { row, isFull, owner: plan }).keys()],
  }))
}

function askedOf(asked: Map<string, Asked>, { entity, list, at }: OwnerPlan): Asked {
  const name = nameOf({ entity, list, at })
  const known = asked.get(name) ?? { entity, list, at, values: new Set<string>(), isEmptied: false }
  asked.set(name, known)
  return known
}

const nameOf = ({ entity, list, at }: Pick<OwnerPlan, 'entity' | 'list' | 'at'>) =>
  `${entity.entityType}\n${list.field}\n${at}`

function fanOutsOf({ entity, list, at, isEmptied }: Asked, paged: readonly string[]): FanOut[] {
  const of = { entityType: entity.entityType, field: list.field, at }
  const isLong = paged.some(value => Buffer.byteLength(value) > maxValueBytes)
  if (isEmptied || isLong || paged.length > maxValues) return [{ ...of, value: null }]
  return paged.map(value => ({ ...of, value }))
}
