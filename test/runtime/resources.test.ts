import { expect, test } from 'vitest'
import { openResources } from '../../src/runtime/resources.ts'

function opened() {
  const closed: string[] = []
  const resource = (name: string) => ({ [Symbol.asyncDispose]: async () => void closed.push(name) })
  return { closed, resource }
}

test('resources are closed once, newest first', async () => {
  const { closed, resource } = opened()
  {
    await using resources = openResources()
    resources.use(resource('pool'))
    resources.defer(() => closed.push('port'))
    resources.use(resource('sender'))
    await resources.disposeAsync()
    expect(closed).toEqual(['sender', 'port', 'pool'])
  }
  expect(closed).toEqual(['sender', 'port', 'pool'])
})

test('a moved resource is closed by its new owner only', async () => {
  const { closed, resource } = opened()
  const old = openResources()
  old.use(resource('pool'))
  const owner = old.move()
  await old.disposeAsync()
  expect(closed).toEqual([])
  await owner.disposeAsync()
  expect(closed).toEqual(['pool'])
})

test('if one resource fails to close, the others are closed and the error is thrown', async () => {
  const { closed, resource } = opened()
  const resources = openResources()
  resources.use(resource('pool'))
  resources.defer(() => {
    throw new Error('is gone')
  })
  await expect(resources.disposeAsync()).rejects.toThrow('is gone')
  expect(closed).toEqual(['pool'])
})
