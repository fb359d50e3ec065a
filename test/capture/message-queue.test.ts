import { expect, test } from 'vitest'
import { createMessageQueue } from '../../src/capture/stream/message-queue.ts'

test('messages of any size come out in order', () => {
  const queue = createMessageQueue()
  const sizes = [0, 1, 100, 262_139, 262_140, 262_141, 1_000_000, 5, 300_000, 7]
  const messages = sizes.map((size, i) => Buffer.alloc(size, i))
  for (const message of messages) queue.push(message)
  for (const message of messages) expect(queue.shift().equals(message)).toBe(true)
  expect(() => queue.shift()).toThrow('no message')
})

test('the buffer can be reused many times without mixing messages', () => {
  const queue = createMessageQueue()
  const expected: string[] = []
  let next = 0
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < (round * 7) % 60; i++) {
      const text = `${next++} ${'x'.repeat((next * 997) % 20_000)}`
      queue.push(Buffer.from(text))
      expected.push(text)
    }
    for (let i = (round * 5) % 55; i > 0 && expected.length > 0; i--)
      expect(queue.shift().toString() === expected.shift()).toBe(true)
  }
  while (expected.length > 0) expect(queue.shift().toString() === expected.shift()).toBe(true)
  expect(() => queue.shift()).toThrow('no message')
})

test('a message is copied in, and stays valid after it is taken until the next one is put in', () => {
  const queue = createMessageQueue()
  const message = Buffer.from('kept')
  queue.push(message)
  message.fill(0)
  const first = queue.shift()
  expect(() => queue.shift()).toThrow('no message')
  expect(first.toString()).toBe('kept')
})
