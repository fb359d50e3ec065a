import { expect, test } from 'vitest'
import { parseFrameAncestors } from '../../src/domain/access/frame-ancestors.ts'

test.each([
  ['https://app.example.com', ['https://app.example.com']],
  ['https://App.Example.com/, https://app.example.com', ['https://app.example.com']],
  ['https://*.example.com https://b.example:8443', ['https://*.example.com', 'https://b.example:8443']],
  ['http://localhost:3000', ['http://localhost:3000']],
  ['', []],
])('%j is a list of origins', (text, origins) => {
  expect(parseFrameAncestors(text)).toEqual({ ok: true, origins })
})

test.each([
  '*',
  'https:',
  'https://*',
  'https://*.*.example.com',
  'https://app.example.com; script-src *',
  "'self'",
  'https://app.example.com/path',
  'https://user@app.example.com',
  'http://app.example.com',
  'app.example.com',
  'data:',
])('%j is refused', text => {
  expect(parseFrameAncestors(text).ok).toBe(false)
})
