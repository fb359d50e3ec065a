import type { TimeId } from '../../domain/value/time-id.ts'
import { claimBatches } from '../../outbox/aside/batches.ts'
import { webhooksWithAside } from '../../outbox/aside/blocked.ts'
import { pickDue } from '../../outbox/aside/pick-due.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readDeliverySettings } from '../../outbox/holders/delivery-settings.ts'
import { readLog, readLogFor } from '../../outbox/log/log.ts'
import { createAsking } from './asking.ts'
import { createChecking } from './checking.ts'
import type { Machine } from './machine.ts'
import type { Page } from './page.ts'
import { nothing, type Portion, portion, wholePage } from './portion.ts'
import { isOpen, type Queue } from './queue.ts'
import type { Tail } from './tail.ts'
import { giveBackUnknown } from './unknown-rows.ts'

/** So many tasks of the main streams are in memory: a page is read while those before it are sent. */
const mostFromMain = 1_500
/** So many events of the log are looked at for one page of a webhook that is behind. */
const scannedEvents = 4_000
/** So many webhooks that are behind are read for at once. */
const mostReading = 3
const fewBehind = 5
const ownEveryMs = 5
/** Looks at the webhooks that are behind take a fifth of the time at most. */
const restsBetweenOwn = 4

const lookAtMs = ({ dueAtMs, restsUntilMs }: Queue) => Math.max(dueAtMs, restsUntilMs)

/**
 * Fills the queues: from the tail where a stream keeps up with it, else by pages of the log; with rows that are due; and asks what
 * of it is blocked. `takeIn` does what needs no asking, `ask` begins what does; the end of each is a wake-up.
 */
export function createReader(options: {
  outbox: Outbox
  holderId: number
  machine: Machine
  tail: Tail
  clockMs: () => number
  room: (queue: Queue) => number
  send: (queue: Queue, shipment: Shipment) => void
  wake: () => void
  failed: (error: unknown) => void
  /** Somebody has taken over from this process. */
  fenced: () => void
}) {
  const { outbox, holderId, machine, tail, clockMs } = options
  /** The newest event that anybody has told of. */
  let headId: TimeId = 0n
  let isHeadWanted = false
  let isBegun = false
  let isSettingsWanted = false
  let isAsideWanted = false
  /** The answer to a commit may have been lost. */
  let isTakenUnsure = false
  /** What was read for the main streams and is not taken in. */
  let mainPage: Page | null = null
  let reading = 0
  let ownAtMs = 0
  /** How far the tail went when webhooks that are behind were looked at last. */
  let ownUpTo: TimeId = 0n
  let isOwnTurn = true
  const { running, once, forQueue, againAtMs } = createAsking({
    clockMs,
    wake: options.wake,
    failed(error) {
      isTakenUnsure = true
      options.failed(error)
    },
  })

  const shares = () => [...machine.main.keys()].filter(share => !machine.leaving.has(share))

  /** What the log knows of the webhooks must not be newer than what we know of them. */
  const isUnderstood = (events: readonly { readonly webhooksVersion: number }[]) => {
    const last = events.at(-1)
    if (!last || last.webhooksVersion <= machine.version()) return true
    isSettingsWanted = true
    return false
  }

  /** Takes in what was read of the log for the main streams, and then what the tail has. */
  function takeMain() {
    for (;;) {
      const from = machine.mainReadUpTo()
      const room = mostFromMain - machine.openFromMain()
      if (mainPage?.after !== from) mainPage = null
      if (from === null || room <= 0) return
      if (mainPage) mainPage = machine.takeMain(mainPage, mostFromMain)
      else {
        if (from >= tail.upToId()) return
        // As many as there is room for, where one webhook wants them; where many do, the tail brings the rest again.
        const chunk = tail.after(from, room)
        if (!chunk || !isUnderstood(chunk.events)) return
        machine.takeMain({ after: from, events: chunk.events, upTo: chunk.readUpTo }, mostFromMain)
      }
    }
  }

  function takeOwnFromTail(queue: Queue) {
    for (;;) {
      const from = machine.ownReadUpTo(queue)
      const { events } = wanted(queue)
      if (from === null || from >= tail.upToId() || events === 0) return
      const chunk = tail.after(from, events)
      if (!chunk || !isUnderstood(chunk.events)) return
      machine.takeOwn(queue, { after: from, events: chunk.events, upTo: chunk.readUpTo }, false)
    }
  }

  /** How much more of its stream a webhook that is behind wants in memory. */
  function wanted(queue: Queue): Portion {
    if (!isOpen(queue, clockMs())) return nothing
    const { batch } = queue.settings
    if (batch) return queue.fresh < 2 * batch.maxEvents ? wholePage : nothing
    if (options.room(queue) <= 0 && queue.sending === 0) return nothing
    const { tasks, bytes, sending, ready } = queue
    return portion({ tasks, bytes, sending, ready: ready.length, behind: machine.behind.size })
  }

  /** How far the stream of a webhook was read. */
  const readUpToOf = (queue: Queue) => (share: number) =>
    (queue.own?.get(share)?.window ?? machine.main.get(share))?.readUpTo ?? 0n

  const checking = createChecking({ outbox, holderId, machine, readUpToOf, fenced: options.fenced })

  async function readSettings() {
    isSettingsWanted = false
    const known = { sinceVersion: machine.version(), ids: new Set(machine.queues.keys()) }
    machine.setSettings(await readDeliverySettings(outbox, known))
  }

  async function fillTail() {
    const after = tail.upToId()
    const { events, readUpTo } = await readLog(outbox, {
      after,
      limit: wholePage.events,
      maxBytes: wholePage.bytes,
    })
    tail.push(events, after, readUpTo)
    if (events.length === 0 && headId > tail.upToId()) headId = tail.upToId()
  }

  async function readMainPage(from: TimeId) {
    const tailFromId = tail.fromId()
    const { events, readUpTo } = await readLog(outbox, {
      after: from,
      limit: wholePage.events,
      maxBytes: wholePage.bytes,
    })
    if (!isUnderstood(events)) return await readSettings()
    // Nothing in between: what the tail begins with follows.
    const upTo = events.length === 0 && tailFromId > readUpTo ? tailFromId : readUpTo
    mainPage = { after: from, events, upTo }
  }

  async function readOwnPage(queue: Queue, from: TimeId, { events: limit, bytes: maxBytes }: Portion) {
    const tailFromId = tail.fromId()
    const page = {
      webhookId: queue.id,
      shares: shares(),
      after: from,
      scan: scannedEvents,
      limit,
      maxBytes,
    }
    const { events, readUpTo } = await readLogFor(outbox, page)
    if (!isUnderstood(events)) return await readSettings()
    const upTo = events.length === 0 && readUpTo === from && tailFromId > from ? tailFromId : readUpTo
    machine.takeOwn(queue, { after: from, events, upTo, shares: page.shares }, true)
  }

  async function pick(queue: Queue) {
    const limit = Math.min(100, options.room(queue) - queue.ready.length)
    queue.dueAtMs = Number.POSITIVE_INFINITY
    const found = await pickDue(outbox, { holderId, webhookId: queue.id, shares: shares(), limit })
    const { deliveries, nextDueInMs } = found
    if (nextDueInMs !== null) machine.due(queue, clockMs() + Math.max(0, nextDueInMs))
    machine.takeRows(queue, deliveries)
  }

  async function pickBatches(queue: Queue) {
    const { batch, mode } = queue.settings
    const limit = options.room(queue)
    queue.dueAtMs = Number.POSITIVE_INFINITY
    const webhook = { webhookId: queue.id, batch: batch!, mode, readUpTo: readUpToOf(queue) }
    const beganMs = clockMs()
    const claimed = await claimBatches(outbox, { holderId, shares: shares(), limit, ...webhook })
    if (claimed.isFenced) return options.fenced()
    const { shipments, lookAgainInMs, fresh } = claimed
    queue.fresh = fresh
    // Each commit would be a look: looks that find nothing take a quarter of the time at most.
    queue.restsUntilMs = shipments.length > 0 ? 0 : clockMs() + 3 * (clockMs() - beganMs)
    if (lookAgainInMs !== null) machine.due(queue, clockMs() + lookAgainInMs)
    for (const shipment of shipments) options.send(queue, shipment)
  }

  /** Whose entities may be blocked, and when their rows are due. */
  async function askForAside(among: readonly number[]) {
    for (const { webhookId, dueInMs } of await webhooksWithAside(outbox, among)) {
      const queue = machine.queues.get(webhookId)
      if (!queue) continue
      machine.blocked(queue)
      if (dueInMs !== null) machine.due(queue, clockMs() + dueInMs)
    }
  }

  async function lookForUnknown() {
    isTakenUnsure = false
    const { isUnsure, isChanged } = await giveBackUnknown(outbox, holderId, machine)
    if (isUnsure) isTakenUnsure = true
    if (isChanged) isAsideWanted = true
  }

  return {
    /** Before anything else is read. */
    readSettings,
    /** Before anything of new shares is read. */
    askForAside,
    /** Rows may have been set aside by somebody else. */
    lookForAside() {
      isAsideWanted = true
    },
    /** Something of this process failed, and may have been done all the same. */
    lookForTaken() {
      isTakenUnsure = true
    },
    lookForSettings() {
      isSettingsWanted = true
    },
    /** The webhooks have changed since their settings were read. */
    isStale: () => isSettingsWanted || running.has('settings'),
    /** The log goes at least so far. */
    noteHead(id: TimeId) {
      if (!isBegun && tail.upToId() === 0n) tail.begin(id)
      isBegun = true
      if (id > headId) headId = id
    },
    /** Events of the log are gone: what was read of it and is not taken in is read again. */
    readAgain() {
      mainPage = null
    },
    /** The log may go further than is known. */
    lookForHead() {
      isHeadWanted = true
    },
    toCheck: checking.add,

    /** Takes in what the tail has. */
    takeIn() {
      takeMain()
      const nowMs = clockMs()
      // What is delivered need not be kept: garbage that has become old is dear to collect.
      if (machine.behind.size === 0) tail.pass(machine.mainReadUpTo() ?? 0n)
      // Where many are behind, they are not looked at each time.
      isOwnTurn = machine.behind.size <= fewBehind || nowMs >= ownAtMs
      if (!isOwnTurn) return
      ownUpTo = tail.upToId()
      for (const queue of machine.behind) takeOwnFromTail(queue)
      const endMs = clockMs()
      ownAtMs = endMs + Math.max(ownEveryMs, restsBetweenOwn * (endMs - nowMs))
    },

    /** Begins to ask for what is missing. Returns when a row is due next, by our clock. */
    ask(): number {
      if (clockMs() < againAtMs()) return againAtMs()
      if (isSettingsWanted) once('settings', readSettings)
      if (isBegun && (isHeadWanted || headId > tail.upToId()) && !running.has('tail')) {
        isHeadWanted = false
        once('tail', fillTail)
      }
      if (isAsideWanted && !running.has('aside')) {
        isAsideWanted = false
        once('aside', () => askForAside(shares()))
      }
      if (isTakenUnsure) once('taken', lookForUnknown)
      if (checking.isWanted()) once('check', checking.check)
      const from = machine.mainReadUpTo()
      if (from !== null && from < tail.fromId() && machine.openFromMain() < mostFromMain && !mainPage)
        once('main', () => readMainPage(from))
      for (const queue of isOwnTurn ? [...machine.behind] : []) {
        if (reading >= mostReading) break
        if (queue.busy.has('reading')) continue
        const more = wanted(queue)
        const own = more.events === 0 ? null : machine.ownReadUpTo(queue)
        if (own === null || own >= tail.fromId()) continue
        // The others have their turn first.
        machine.behind.delete(queue)
        machine.behind.add(queue)
        forQueue(queue, 'reading', () => {
          reading++
          return readOwnPage(queue, own, more).finally(() => reading--)
        })
      }
      const nowMs = clockMs()
      let nextMs = tail.upToId() > ownUpTo && machine.behind.size > 0 ? ownAtMs : Number.POSITIVE_INFINITY
      for (const queue of machine.dues) {
        if (queue.dueAtMs === Number.POSITIVE_INFINITY) machine.dues.delete(queue)
        else if (lookAtMs(queue) > nowMs) nextMs = Math.min(nextMs, lookAtMs(queue))
        else if (isOpen(queue, nowMs) && options.room(queue) > queue.ready.length)
          forQueue(queue, 'picking', () => (queue.settings.batch ? pickBatches(queue) : pick(queue)))
      }
      return nextMs
    },

    /** Whether nothing is being asked. */
    isIdle: () => running.size === 0,
  }
}
