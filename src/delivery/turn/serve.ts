import { settle } from '../../outbox/settle/settle.ts'
import { describeError } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type Machine, openMachine } from '../stream/machine.ts'
import { checkAll } from '../stream/periodic-checks.ts'
import { ask, takeIn } from '../stream/read.ts'
import { readSettings } from '../stream/read-log.ts'
import { openReader } from '../stream/reader.ts'
import type { Tail } from '../stream/tail.ts'
import { begin, sendReady } from './begin.ts'
import { createInFlight } from './in-flight.ts'
import { createProgress, maxPositions } from './progress.ts'
import { capacityOf, mayBegin, type ServeOptions, type Serving } from './serving.ts'
import { giveBackTaken, noteSettled, takeRowsToWrite } from './settled.ts'
import { createSettler } from './settler.ts'
import { createShareKeeper } from './share-keeper.ts'
import { beat, beatEveryMs, save, saveNow, wantBeat } from './write-down.ts'

const tickMs = 100
const quietTickMs = beatEveryMs
const pollEveryMs = 5_000
const settleWithinMs = 5_000

/** A new life as a holder, before anything is read. */
export function openServing(options: ServeOptions & { readonly tail: Tail }): Serving {
  const { outbox, membership, capacity, waker, clockMs, log, tail } = options
  const { holderId } = membership
  const machine = openMachine(clockMs, options.patience.nowMs)
  const reader = openReader({
    ...{ outbox, holderId, machine, tail, clockMs, wake: waker.wake },
    freeCapacity: queue => (mayBegin(serving) ? capacityOf(serving, queue) : 0),
    isDelivering: ({ id }) => capacity.isDelivering(id),
    send: (queue, shipment) => begin(serving, queue, shipment, null),
    fenced: () => {
      serving.isFenced = true
    },
    failed: error => log.error('delivery.read_failed', { reason: describeError(error) }),
  })
  const progress = createProgress({ outbox, holderId, machine })
  const serving: Serving = {
    ...options,
    machine,
    reader,
    progress,
    keeper: createShareKeeper({
      ...{ outbox, membership, machine, reader, progress, log },
      wantBeat: () => wantBeat(serving),
    }),
    settler: createSettler({
      takeRows: max => takeRowsToWrite(serving, max),
      settle: what => settle(outbox, holderId, what),
      log,
      clockMs,
      onSettled: (what, settled) => noteSettled(serving, what, settled),
    }),
    inFlight: createInFlight(capacity),
    asideOf: new Map(),
    cutOff: new AbortController(),
    next: { beatMs: 0, tickMs: clockMs(), saveMs: 0, pollMs: 0 },
    isFenced: false,
    isReachWanted: false,
    isSaveWanted: false,
    beating: null,
    saving: null,
    heardAtMs: clockMs(),
  }
  return serving
}

/**
 * Holds this process' shares, reads their streams, sends and settles, until `signal`, or until another process takes over.
 * One loop does it all; finished queries wake it.
 */
export async function serve(serving: Serving, signal: AbortSignal): Promise<void> {
  const { machine, reader, settler, waker, clockMs, next } = serving
  await readSettings(reader)
  while (!signal.aborted && !serving.isFenced) {
    const nowMs = clockMs()
    if (nowMs >= next.tickMs) tick(serving, nowMs)
    takeIn(reader)
    if (!isResting(machine)) next.tickMs = Math.min(next.tickMs, nowMs + quietTickMs)
    sendReady(serving, nowMs)
    if (nowMs >= next.beatMs || serving.isReachWanted) beat(serving, nowMs)
    if (machine.toSetAside.length > 0) settler.wanted()
    if (machine.toGiveBack.length > 0) void giveBackTaken(serving)
    const dueMs = ask(reader)
    if (serving.isReachWanted) beat(serving, clockMs())
    if (serving.isSaveWanted || nowMs >= next.saveMs) save(serving, nowMs)
    await waker.wait(Math.max(0, Math.min(next.beatMs, next.tickMs, dueMs) - clockMs()), signal)
  }
  if (serving.isFenced) return
  try {
    settler.wanted()
    await stop(serving)
  } finally {
    end(serving)
  }
}

/** Ends a fenced life: requests in flight are logged when they end, and change nothing. */
export async function drain(serving: Serving): Promise<void> {
  const { membership, settler, inFlight } = serving
  try {
    await membership.noteEnd().catch(() => {})
    settler.wanted()
    await inFlight.idleWithin(serving.deadlineMs)
  } finally {
    end(serving)
  }
}

function end({ membership, settler, inFlight }: Serving): void {
  membership.endSession()
  settler.giveUp()
  inFlight.over()
}

/** The periodic checks. */
function tick(serving: Serving, nowMs: number): void {
  const { machine, reader, inFlight, next } = serving
  const { holderId } = serving.membership
  serving.patience.late(nowMs - next.tickMs)
  const checked = checkAll(machine, {
    ...{ nowMs, holderId },
    patientMs: machine.patientMs(),
    freeCapacity: queue => capacityOf(serving, queue),
    waitsForCapacity: ({ id, settings }) => serving.capacity.waitsForCapacity(id, settings),
  })
  if (checked.isSaveWanted) serving.isSaveWanted = true
  if (nowMs >= next.pollMs) {
    next.pollMs = nowMs + pollEveryMs
    reader.wanted.aside = true
  }
  const isQuiet = checked.isQuiet && inFlight.count() === 0 && machine.leaving.size === 0
  next.tickMs = nowMs + (!isQuiet ? tickMs : isResting(machine) ? pollEveryMs : quietTickMs)
}

/** Whether there is nothing to check. */
const isResting = ({ working, lagging }: Machine) => working.size === 0 && lagging.size === 0

/** Gives everything up in order: shares at once, requests in flight when they end. */
async function stop(serving: Serving): Promise<void> {
  const { machine, keeper, settler, inFlight, clockMs, log } = serving
  await serving.beating
  keeper.releaseAll()
  await giveBackTaken(serving)
  const deadlineMs = clockMs() + serving.drainMs
  const keepAlive = setInterval(() => beat(serving, clockMs()), beatEveryMs)
  try {
    // Shares first: others send what is not in flight here.
    while (machine.leaving.size > 0 && clockMs() < deadlineMs + settleWithinMs) {
      settler.wanted()
      await giveBackTaken(serving)
      await saveNow(serving, maxPositions).catch(error =>
        log.error('delivery.save_failed', { reason: describeError(error) }),
      )
      if (machine.leaving.size > 0) await sleep(20)
    }
    await inFlight.idleWithin(deadlineMs - clockMs())
    serving.cutOff.abort()
    await inFlight.idleWithin(settleWithinMs)
    settler.giveUp()
    // Deliveries blocked by a failed request need not wait for a takeover.
    await giveBackTaken(serving)
  } finally {
    clearInterval(keepAlive)
  }
  await serving.beating
  await keeper.leave()
}
