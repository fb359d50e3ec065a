import { isDeepStrictEqual } from 'node:util'
import { type Step, stepsOf, type Truth } from './truth.ts'
import type { Entry, Row } from './witness.ts'

/** An event of the outbox. */
export type Told = {
  readonly id: string
  readonly commitLsn: bigint
  readonly index: number
  readonly entity: string
  readonly action: 'new' | 'update' | 'delete'
  readonly result: Row | null
  readonly omitted: readonly string[]
}

/** A range of the WAL that walhook says it has lost, of one type of entity or of all. */
export type Gap = {
  readonly from: bigint
  readonly to: bigint | null
  readonly entityType: string | null
}

/** What was parked: told to people, and not to receivers. */
export type Parked = { readonly commitLsn: bigint; readonly entity: string | null }

/** What happened between two moments at which nothing was under way, and what walhook made of it. */
export type Period = {
  readonly entries: readonly Entry[]
  readonly told: readonly Told[]
  readonly gaps: readonly Gap[]
  readonly parked: readonly Parked[]
  /** Whether a resync or a backfill has run, or a partition has come: then rows may be told that no transaction of the period has changed. */
  readonly wasResynced: boolean
  /** Whether columns were added, dropped, renamed or retyped: then a row has other values without having been written. */
  readonly wasReshaped: boolean
  /** Each entity as the tables have it at the end, with its lists. */
  readonly present: ReadonlyMap<string, Row>
}

/** What receivers have, by entity. */
export type Received = Map<string, Row>

export type Verdict = {
  readonly faults: string[]
  readonly exact: number
  /** Told in a later state than their own, by the rule that nothing older follows what was read. */
  readonly later: number
  readonly inGaps: number
}

const lists = ['companies']
const withheld = ['pin']

/**
 * Checks a period: every change is told once, in the order of its entity's commits, with values that the entity had
 * then or later; or a gap covers it, or it is parked. Receivers end with what the tables have. Moves `truth` and
 * `received` on to the end of the period.
 */
export function check(period: Period, truth: Truth, received: Received): Verdict {
  const faults: string[] = []
  const { byEntity, touches, emptied, known, start } = stepsOf(period.entries, truth)
  const told = Map.groupBy(period.told, ({ entity }) => entity)
  const had = new Map(received)
  const count = { exact: 0, later: 0, inGaps: 0 }

  const identities = new Set(period.told.map(({ commitLsn, index }) => `${commitLsn} ${index}`))
  if (identities.size !== period.told.length) faults.push('two events have the same identity')
  const isInGap = (lsn: bigint, entity: string) =>
    period.gaps.some(
      ({ from, to, entityType }) =>
        from < lsn &&
        (to === null || lsn <= to) &&
        (entityType === null || entity.startsWith(`${entityType} `)),
    )
  const isParked = (lsn: bigint, entity: string) =>
    period.parked.some(
      parked => parked.commitLsn === lsn && (parked.entity === null || parked.entity === entity),
    )

  for (const entity of new Set([...byEntity.keys(), ...told.keys()])) {
    const steps = byEntity.get(entity) ?? []
    const events = told.get(entity) ?? []
    const before = start.get(entity)
    const now = period.present.get(entity)
    const seen = new Set<Step>()
    let last = -1
    // What came with a partition may be changed, by the stream, before it is read.
    let isDisturbed = steps.some(({ lsn, silence }) => isInGap(lsn, entity) || silence === 'attached')
    let has = received.get(entity)

    for (const event of events) {
      const label = `${event.action} ${entity} at ${lsnText(event.commitLsn)} (event ${event.id})`
      const at = steps.findIndex(({ lsn }) => lsn === event.commitLsn)
      const step = steps[at]
      let versions: readonly (Row | null)[]
      if (step) {
        if (seen.has(step)) faults.push(`told twice: ${label}`)
        // In a gap only a part of the transaction may have come: related rows, and not the row itself. Where a partition takes
        // the place of a row that its transaction deletes, the WAL has the delete only.
        const isReplaced = step.silence === 'attached' && event.action === 'delete'
        if (step.action !== event.action && !isReplaced && !isInGap(step.lsn, entity))
          faults.push(`${label} was ${step.action}`)
        if (at < last) faults.push(`told in another order than it was committed: ${label}`)
        if (steps.slice(last + 1, at).some(({ silence }) => silence === 'detached')) has = undefined
        seen.add(step)
        last = Math.max(last, at)
        versions = steps.slice(at).map(({ row }) => row)
        if (event.result && step.row && hasValues(event, [step.row])) count.exact++
        else count.later++
      } else {
        const isTouch = touches.get(event.commitLsn)?.has(entity) && event.action === 'update'
        const isResync = period.wasResynced && !known.has(event.commitLsn)
        // A TRUNCATE is told for all that receivers have: also for a row that went with its table, in a gap, before that.
        const isEmptied =
          event.action === 'delete' &&
          emptied.get(event.commitLsn)?.has(entity.split(' ')[0]!) === true &&
          has
        if (!isTouch && !isResync && !isEmptied) faults.push(`no transaction has done this: ${label}`)
        if (isResync || isEmptied) isDisturbed = true
        versions = isTouch
          ? versionsFrom(steps, event.commitLsn, before ?? null)
          : [before ?? null, ...steps.map(({ row }) => row)]
      }
      const isPartial = isInGap(event.commitLsn, entity)
      // Of a row that is gone, nobody knows what it was after its columns were changed; `v` tells which version of it was read.
      const isUnknown = period.wasReshaped && !now && versions.some(row => row?.v === event.result?.v)
      if (event.result && !isPartial && !isUnknown && !hasValues(event, now ? [...versions, now] : versions))
        faults.push(`values that the row never had: ${label} ${short(event.result)}, was ${short(versions)}`)
      if (event.action === 'new' && has && !isDisturbed)
        faults.push(`new, and receivers have it already: ${label}`)
      if (event.action !== 'new' && !has && !isDisturbed)
        faults.push(`receivers have never heard of it: ${label}`)
      has = event.result ?? undefined
    }

    for (const [at, step] of steps.entries()) {
      if (seen.has(step) || step.action === 'nothing') continue
      const isGone = step.action === 'update' && steps.slice(at + 1).some(({ row }) => row === null)
      // What came with a partition is told by a page that reads it, later: receivers end with it.
      if (isGone || isParked(step.lsn, entity) || step.silence === 'detached' || step.silence === 'attached')
        continue
      if (isInGap(step.lsn, entity)) count.inGaps++
      else
        faults.push(`lost: ${step.action} ${entity} at ${lsnText(step.lsn)}, v ${short(step.row?.v ?? null)}`)
    }

    // Its row is archived, and receivers keep what they have.
    if (steps.at(-1)?.silence === 'detached') has = undefined
    if (has) received.set(entity, has)
    else received.delete(entity)
  }

  for (const entity of new Set([...received.keys(), ...period.present.keys()])) {
    const row = period.present.get(entity)
    const has = received.get(entity)
    const was = truth.get(entity)
    if (!row && has) faults.push(`receivers have ${entity}, which is gone: ${short(has)}`)
    else if (row && !has) faults.push(`receivers do not have ${entity}: ${short(row)}`)
    else if (row && has) {
      // A row that nobody wrote is as it was told before, whatever became of its columns: a column may come, be told by a resync, and go.
      const before = byEntity.has(entity) || told.has(entity) ? undefined : had.get(entity)
      const wrong = Object.keys(has).filter(
        name => ![row, was, before].some(known => known && isDeepStrictEqual(has[name], known[name])),
      )
      if (wrong.length > 0 || has.v !== row.v)
        faults.push(`receivers have ${entity} with ${wrong}: ${short(has)} instead of ${short(row)}`)
    }
  }
  return { faults, ...count }
}

/** The states of an entity from a commit on: the last one before it, and all that followed. */
function versionsFrom(steps: readonly Step[], lsn: bigint, before: Row | null): (Row | null)[] {
  const later = steps.findIndex(step => step.lsn > lsn)
  const from = later < 0 ? steps.length : later
  const last = from === 0 ? before : steps[from - 1]!.row
  return [last, ...steps.slice(from).map(({ row }) => row)]
}

/** Whether each field has a value that one of the versions has, and no column is missing that all of them have. */
function hasValues({ result, omitted }: Told, versions: readonly (Row | null)[]): boolean {
  const rows = versions.filter(row => row !== null)
  if (rows.length === 0 || result === null) return false
  const isRight = ([name, value]: [string, unknown]) =>
    lists.includes(name) || rows.some(row => name in row && isDeepStrictEqual(row[name], value))
  const isThere = (name: string) => name in result || omitted.includes(name) || withheld.includes(name)
  const always = Object.keys(rows[0]!).filter(name => rows.every(row => name in row))
  return Object.entries(result).every(isRight) && always.every(isThere)
}

export const lsnText = (lsn: bigint) =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`

const short = (value: unknown) =>
  JSON.stringify(value, (_, each) => (typeof each === 'string' ? each.slice(0, 24) : each)).slice(0, 600)
