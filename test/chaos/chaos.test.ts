import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { planRounds, replayRounds } from './plan.ts'
import { openTrial } from './trial.ts'

/**
 * WALHOOK_CHAOS_S runs it for as long as one wants. WALHOOK_CHAOS_SEED repeats what a failure has printed;
 * WALHOOK_CHAOS_ONLY takes the operations whose names match it, WALHOOK_CHAOS_REPLAY those of a log of another run (with
 * lines taken out, it finds the shortest that still fails).
 */
const seconds = Number(process.env.WALHOOK_CHAOS_S || 60)
const seed = Number(process.env.WALHOOK_CHAOS_SEED || Math.floor(Math.random() * 2 ** 31))
const only = new RegExp(process.env.WALHOOK_CHAOS_ONLY || '.')
const replayed = process.env.WALHOOK_CHAOS_REPLAY

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ wal_sender_timeout: '4s', max_replication_slots: '20' })
})
afterAll(() => server[Symbol.asyncDispose]())

test(
  `random damage to the source for ${seconds} s (WALHOOK_CHAOS_SEED=${seed}): each change is sent exactly once, or reported as a gap, and every fix works`,
  async () => {
    await using trial = await openTrial(server, seed)
    const endAt = performance.now() + seconds * 1_000
    let round = 0
    try {
      for await (const planned of replayed ? replayRounds(replayed) : planRounds(seed, only)) {
        round++
        for (const each of planned) {
          await trial.operate(each, round)
          await sleep(each.restMs)
        }
        await trial.conclude(round)
        // A busy machine does less in the time.
        if (performance.now() > endAt && trial.total.events > seconds) break
      }
    } catch (error) {
      throw new Error(
        [
          error instanceof Error ? error.message : String(error),
          `--- the last operations (all of them: data/chaos/${seed}/operations.jsonl)`,
          ...trial.trail.slice(-20),
          '--- the last lines of walhook',
          ...trial.lastLines(),
          `--- again: WALHOOK_CHAOS_SEED=${seed} npx vitest run test/chaos; shorter: WALHOOK_CHAOS_REPLAY=that file with fewer lines`,
        ].join('\n'),
        { cause: error },
      )
    }
    expect(trial.total.events, JSON.stringify(trial.total)).toBeGreaterThan(seconds)
  },
  (seconds + 600) * 1_000,
)
