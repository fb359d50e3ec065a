import { expect, test } from 'vitest'
import { createBlockedNotice } from '../../src/delivery/turn/share-keeper.ts'
import { silentLog } from '../../src/runtime/log.ts'

test('a blocked takeover is logged once it lasts, then every half a minute, and whenever sessions are ended', () => {
  const lines: unknown[] = []
  const report = createBlockedNotice({
    ...silentLog,
    warn: (msg, facts) => void lines.push([msg, facts?.silent_ms, facts?.ended_pids, facts?.waits_for_pids]),
  })
  const line = (ms: number, ended: number[] = []) => ['delivery.takeover_blocked', ms, ended, [7]]
  for (let silentMs = 10_000; silentMs <= 50_000; silentMs += 1_000)
    report({ holder: 1, silentMs, ended: [], waitedFor: [7] })
  expect(lines).toEqual([line(15_000), line(45_000)])
  report({ holder: 1, silentMs: 51_000, ended: [8], waitedFor: [7] })
  report({ holder: 2, silentMs: 15_000, ended: [], waitedFor: [7] })
  expect(lines.slice(2)).toEqual([line(51_000, [8]), line(15_000)])
})
