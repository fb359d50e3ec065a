import { isAsked, once } from './asking.ts'
import { check } from './checking.ts'
import { fillTail, findMissingPages, readOwnPages, readSettings, takeMain, takeOwn } from './read-log.ts'
import { askForAside, giveBackUnknown, pickDueRows } from './read-rows.ts'
import type { Reader } from './reader.ts'
import { mainReadUpTo } from './streams.ts'

const fewLagging = 5
const ownEveryMs = 5
/** Checks of lagging webhooks take at most a fifth of the time. */
const restsBetweenOwn = 4

/** Takes what needs no query: the tail. */
export function takeIn(reader: Reader): void {
  const { machine, tail, clockMs } = reader
  takeMain(reader)
  const nowMs = clockMs()
  tail.pass(mainReadUpTo(machine) ?? tail.upToId(), machine.lagging.size === 0)
  // If many webhooks lag, not every turn checks them.
  reader.isOwnTurn = machine.lagging.size <= fewLagging || nowMs >= reader.ownAtMs
  if (!reader.isOwnTurn) return
  reader.ownUpTo = tail.upToId()
  for (const queue of machine.lagging) takeOwn(reader, queue)
  const endMs = clockMs()
  reader.ownAtMs = endMs + Math.max(ownEveryMs, restsBetweenOwn * (endMs - nowMs))
}

/** Starts the missing queries. Returns when a row is due next, by our clock. */
export function ask(reader: Reader): number {
  const { asking, wanted, machine, tail, headId } = reader
  if (reader.clockMs() < asking.againAtMs) return asking.againAtMs
  if (wanted.settings) once(asking, 'settings', () => readSettings(reader))
  const isTailShort = headId !== null && (wanted.head || headId > tail.upToId()) && tail.hasSpace()
  if (isTailShort && !isAsked(asking, 'tail')) {
    wanted.head = false
    once(asking, 'tail', () => fillTail(reader))
  }
  if (wanted.aside && !isAsked(asking, 'aside')) {
    wanted.aside = false
    once(asking, 'aside', () => askForAside(reader))
  }
  if (wanted.taken) once(asking, 'taken', () => giveBackUnknown(reader))
  if (machine.toCheck.length > 0) once(asking, 'check', () => check(reader))
  if (reader.isOwnTurn) findMissingPages(reader)
  readOwnPages(reader)
  const isOwnDue = machine.lagging.size > 0 && (reader.isPageMissing || tail.upToId() > reader.ownUpTo)
  const ownAtMs = isOwnDue ? reader.ownAtMs : Number.POSITIVE_INFINITY
  return Math.min(ownAtMs, pickDueRows(reader))
}
