import { expect, test } from 'vitest'
import { isRecovery, withFailure } from '../../src/domain/delivery/recovery.ts'

test('a webhook has recovered when it accepts again after refusing everything for a while', () => {
  const once = withFailure(null, 1_000)
  const twice = withFailure(once, 1_500)
  expect(isRecovery(null, 9_000)).toBe(false)
  expect(isRecovery(once, 9_000)).toBe(false)
  expect(isRecovery(twice, 2_999)).toBe(false)
  expect(isRecovery(twice, 3_000)).toBe(true)
})
