import { expect, test } from 'vitest'
import { checkAccount, type Entry, type Reaction } from './faulty-receiver.ts'

/** An account like `1 2:500 2 3`: versions of one lane, with the status that each got. */
function entries(story: string): Entry[] {
  return story.split(' ').map((part, i) => {
    const [version, status] = part.split(':')
    const reaction: Reaction = status === undefined ? {} : { status: Number(status) }
    return {
      path: '/a',
      messageId: `msg_${version}`,
      lane: 'lane',
      from: '',
      body: Number(version),
      arrivedAtMs: i,
      answeredAtMs: i,
      reaction,
    }
  })
}
const check = (story: string, versions = 3) =>
  checkAccount(entries(story), new Map([['lane', versions]]), body => body)

test.each([
  ['1 2 3', []],
  ['1:500 1 2:429 2:500 2 3', []],
  ['1 2', ['lane: 3 was never accepted']],
  ['1 2 3:500', ['lane: 3 was never accepted']],
  ['1 3 2', ['lane: 3 came before 2 was accepted', 'lane: 2 came after 3 was accepted']],
  ['1 2:500 3 2', ['lane: 3 came before 2 was accepted', 'lane: 2 came after 3 was accepted']],
  ['1 2 3 4', ['lane: more was accepted than 3 versions']],
])('the account %j has the breaches %j', (story, breaches) => {
  expect(check(story).breaches).toEqual(breaches)
})

test('a repeated event is a breach only after a newer one was accepted', () => {
  const { breaches, repetitions } = check('1 2 2 3')
  expect(breaches).toEqual([])
  expect(repetitions).toMatchObject([{ entry: { body: 2 }, acceptedAtMs: 1 }])
  expect(check('1 2 3 2').breaches).toHaveLength(1)
})

test('an unexpected lane is reported', () => {
  expect(checkAccount(entries('1'), new Map(), body => body).breaches).toEqual(['lane: was not expected'])
})
