import { expect, test } from 'vitest'
import { portion } from '../../src/domain/delivery/portion.ts'

const idle = { tasks: 0, bytes: 0, ready: 0, sending: 0, lagging: 1 }

/** What a webhook has in memory when it has taken all that it gets, of events of so many bytes. */
function filled(of: { lagging: number; sending?: number; bytesEach?: number }) {
  const { lagging, sending = 0, bytesEach = 600 } = of
  let [tasks, bytes] = [0, 0]
  for (;;) {
    const more = portion({ tasks, bytes, ready: tasks, sending, lagging })
    if (more.events === 0) return { tasks, bytes }
    const count = Math.min(more.events, Math.max(1, Math.ceil(more.bytes / bytesEach)))
    tasks += count
    bytes += count * bytesEach
  }
}

test.each([1, 10, 100, 600, 10_000])('%i webhooks with a backlog share one memory limit', lagging => {
  const { tasks, bytes } = filled({ lagging })
  expect(tasks).toBeGreaterThan(0)
  expect(tasks * lagging).toBeLessThanOrEqual(30_000)
  expect(bytes * lagging).toBeLessThanOrEqual(40_000_000 + 600 * lagging)
})

test('a few webhooks with a backlog keep one page in memory while another is sent', () => {
  expect(filled({ lagging: 1 })).toEqual({ tasks: 1_500, bytes: 900_000 })
  expect(filled({ lagging: 20 }).tasks).toBe(1_500)
})

test('a fast webhook reads ahead for a hundred requests, however many others have a backlog', () => {
  expect(filled({ lagging: 600, sending: 1 }).tasks).toBe(50)
  expect(filled({ lagging: 600, sending: 100, bytesEach: 40 }).tasks).toBe(1_500)
})

test('an idle webhook gets one event of any size, never two oversized ones', () => {
  const large = { ...idle, lagging: 600, bytes: 900_000, tasks: 1 }
  expect(portion({ ...large, ready: 1 })).toEqual({ events: 0, bytes: 0 })
  expect(portion({ ...large, ready: 0, sending: 1 })).toEqual({ events: 1, bytes: 1 })
  expect(portion({ ...large, ready: 0, sending: 5, bytes: 4_000_000 })).toEqual({ events: 0, bytes: 0 })
})
