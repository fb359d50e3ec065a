import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { checkAccount, startFaultyReceiver } from '../support/faulty-receiver.ts'
import { moveNow } from '../support/move-process.ts'
import { startVersionsLoad, versionsTables, versionsTriggers } from '../support/versions-load.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** A settlement that was under way when a process was killed may be of an answer somewhat older than that. */
const settleMs = 5_000

test('delivering processes are killed while a webhook moves: nothing is lost or out of order, and each repetition was in flight', {
  timeout: 400_000,
}, async () => {
  await using database = await createTestDatabase()
  await using receiver = await startFaultyReceiver(() => ({ delayMs: Math.random() * 200 }))
  await using psql = await connect(database.url)
  await psql.query(versionsTables)
  const processes: WalhookProcess[] = []
  const env = { WALHOOK_RETRY_SCHEDULE: Array(40).fill('1s').join(',') }
  try {
    for (const at of [0, 1]) {
      processes[at] = startWalhook(database, env)
      await processes[at].ready()
    }
    const { id } = await processes[0]!.api('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url('/crm'),
      triggers: versionsTriggers,
    })
    expect(await runWalhook(database, ['cell', 'add', 'west'])).toMatchObject({ code: 0, stderr: '' })
    const load = startVersionsLoad(() => database.url, { users: 60, perSecond: 60 })
    await load.reached(60)

    const kills: number[] = []
    const kill = async (at: number) => {
      kills.push(performance.now())
      processes[at]!.kill('SIGKILL')
      await processes[at]!.exited
    }
    const place = { url: database.url, webhookId: id as number }
    let to = 'west'
    for (const [i, step] of (['held', 'copied', 'cut over', 'settled'] as const).entries()) {
      const victim = i % 2
      let isKilled = false
      const move = () =>
        moveNow({ ...place, to }, async reached => {
          if (reached !== step || isKilled) return
          isKilled = true
          await kill(victim)
        })
      const moved = await move()
      processes[victim] = startWalhook(database, env)
      await processes[victim].ready()
      // Who copied the log is gone: a move may give up then, and is run again.
      if (!moved.ok) expect([step, moved]).toEqual([step, { ok: false, why: 'late' }])
      if (!moved.ok) expect([step, await move()]).toEqual([step, { ok: true, isMoved: true }])
      await load.reached(load.made() + 60)
      to = to === 'west' ? 'main' : 'west'
    }

    const expected = await load.end(['/crm'])
    const total = [...expected.values()].reduce((sum, versions) => sum + versions, 0)
    const accepted = () =>
      new Set(
        receiver.account.flatMap(({ lane, body, answeredAtMs }) =>
          answeredAtMs === null ? [] : `${lane} ${body.result.version}`,
        ),
      ).size
    await until(() => accepted() >= total, { what: 'all to arrive', timeoutMs: 90_000 })
    const { breaches, repetitions } = checkAccount(receiver.account, expected, body => body.result.version)
    expect(breaches).toEqual([])
    // Under way when a process was killed: accepted around then, and not known.
    const isExplained = (acceptedAtMs: number) =>
      kills.some(atMs => acceptedAtMs > atMs - settleMs && acceptedAtMs < atMs + settleMs)
    expect(repetitions.filter(({ acceptedAtMs }) => !isExplained(acceptedAtMs))).toEqual([])
  } finally {
    await Promise.all(processes.map(one => one[Symbol.asyncDispose]()))
  }
})
