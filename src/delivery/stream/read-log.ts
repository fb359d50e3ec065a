import { nothing, type Portion, portion, wholePage } from '../../domain/delivery/portion.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { readDeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import { readLog, readLogFor } from '../../outbox/log/log.ts'
import { onceFor } from './asking.ts'
import { isOpen, type Queue } from './queue.ts'
import { noteHead, type Reader } from './reader.ts'
import { setSettings } from './settings.ts'
import {
  mainReadUpTo,
  openFromMain,
  ownReadUpTo,
  takeMain as takeMainPage,
  takeOwn as takeOwnPage,
} from './streams.ts'

/**
 * The maximum tasks of the main streams in memory, besides one of each webhook: a page is read while earlier ones are sent, and while
 * thousands are sent one event.
 */
const maxFromMain = 1_500
const scannedEvents = 4_000
/** The lagging webhooks read for at once. */
const maxReading = 3
/** So many are found at once, and read one after another. */
const maxFound = 100
const page = { limit: wholePage.events, maxBytes: wholePage.bytes }

/** Reads the changed webhooks, before anything else. */
export async function readSettings({ outbox, machine, wanted }: Reader): Promise<void> {
  wanted.settings = false
  const known = { sinceVersion: machine.version, ids: new Set(machine.queues.keys()) }
  setSettings(machine, await readDeliverySettings(outbox, known))
}

/** Events must not be newer than the known settings of webhooks. */
function isUnderstood(
  { machine, wanted }: Reader,
  events: readonly { readonly webhooksVersion: number }[],
): boolean {
  const last = events.at(-1)
  if (!last || last.webhooksVersion <= machine.version) return true
  wanted.settings = true
  return false
}

/** Takes the tail for the main streams. */
export function takeMain(reader: Reader): void {
  const { machine, tail } = reader
  for (;;) {
    const from = mainReadUpTo(machine)
    const maxOpen = maxFromMain + machine.queues.size
    const max = maxOpen - openFromMain(machine)
    if (from === null || max <= 0) return
    // A share was acquired, or unsent events were forgotten.
    if (from < tail.fromId()) beginAgain(reader, from)
    if (from >= tail.upToId()) return
    // With one interested webhook as many as fit; with many, the tail keeps the rest.
    const chunk = tail.after(from, max)
    if (!chunk || !isUnderstood(reader, chunk.events)) return
    takeMainPage(machine, { after: from, events: chunk.events, upTo: chunk.readUpTo }, maxOpen)
  }
}

/** The tail is read again from an earlier position. */
function beginAgain(reader: Reader, from: TimeId): void {
  const { tail } = reader
  noteHead(reader, tail.upToId())
  tail.begin(from)
}

/** Takes the tail for a lagging webhook. */
export function takeOwn(reader: Reader, queue: Queue): void {
  const { machine, tail } = reader
  for (;;) {
    const from = ownReadUpTo(machine, queue)
    const { events } = portionOf(reader, queue)
    if (from === null || from >= tail.upToId() || events === 0) return
    const chunk = tail.after(from, events)
    if (!chunk || !isUnderstood(reader, chunk.events)) return
    takeOwnPage(machine, queue, { after: from, events: chunk.events, upTo: chunk.readUpTo }, false)
  }
}

/** How much more of its stream a lagging webhook needs in memory. */
function portionOf({ machine, clockMs, freeCapacity }: Reader, queue: Queue): Portion {
  if (!isOpen(queue, clockMs())) return nothing
  const { batch } = queue.settings
  if (batch) return queue.fresh < 2 * batch.maxEvents ? wholePage : nothing
  if (freeCapacity(queue) <= 0 && queue.sending === 0) return nothing
  const { tasks, bytes, sending, ready } = queue
  return portion({ tasks, bytes, sending, ready: ready.length, lagging: machine.lagging.size })
}

/** Extends the tail with a page of the log: others' appends, and this process' for which it had no space. */
export async function fillTail(reader: Reader): Promise<void> {
  const { outbox, tail } = reader
  const after = tail.upToId()
  const { events, readUpTo } = await readLog(outbox, { after, ...page })
  tail.add(events, after, readUpTo)
  if (events.length === 0 && reader.headId! > tail.upToId()) reader.headId = tail.upToId()
}

/** How much to read for a lagging webhook, and from where; null: nothing is missing. */
function missingPage(reader: Reader, queue: Queue): { after: TimeId; portion: Portion } | null {
  const { machine } = reader
  if (queue.busy.has('reading') || !machine.lagging.has(queue)) return null
  const portion = portionOf(reader, queue)
  const after = portion.events === 0 ? null : ownReadUpTo(machine, queue)
  if (after === null || isInTail(reader, after)) return null
  return { after, portion }
}

/** Whether the tail has what follows, or soon will. */
function isInTail({ tail, headId }: Reader, after: TimeId): boolean {
  if (after < tail.fromId()) return false
  return after < tail.upToId() || tail.hasSpace() || after >= (headId ?? 0n)
}

/** Finds lagging webhooks whose next page is missing, in turns. */
export function findMissingPages(reader: Reader): void {
  const { lagging } = reader.machine
  reader.toRead.length = 0
  for (const queue of [...lagging]) {
    if (reader.toRead.length >= maxFound) break
    if (!missingPage(reader, queue)) continue
    // To the end of the queue.
    lagging.delete(queue)
    lagging.add(queue)
    reader.toRead.push(queue)
  }
  reader.isPageMissing = reader.toRead.length > 0
}

/** Starts reading the missing pages, a few at a time. */
export function readOwnPages(reader: Reader): void {
  while (reader.reading < maxReading) {
    const queue = reader.toRead.shift()
    if (!queue) return
    const missing = missingPage(reader, queue)
    if (!missing) continue
    onceFor(reader.asking, queue, 'reading', () => {
      reader.reading++
      return readOwnPage(reader, queue, missing.after, missing.portion).finally(() => reader.reading--)
    })
  }
}

async function readOwnPage(
  reader: Reader,
  queue: Queue,
  after: TimeId,
  { events: limit, bytes: maxBytes }: Portion,
): Promise<void> {
  const { outbox, machine, tail } = reader
  const tailFromId = tail.fromId()
  const shares = [...machine.main.keys()].filter(share => !machine.leaving.has(share))
  const { id: webhookId, settings } = queue
  const about = { webhookId, tenant: settings.tenant, shares, after, scan: scannedEvents, limit, maxBytes }
  const { events, readUpTo } = await readLogFor(outbox, about)
  if (!isUnderstood(reader, events)) return await readSettings(reader)
  const upTo = events.length === 0 && readUpTo === after && tailFromId > after ? tailFromId : readUpTo
  takeOwnPage(machine, queue, { after, events, upTo, shares }, true)
}
