import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeError, type openLog } from '../../src/runtime/log.ts'
import { until } from '../support/wait.ts'

const withCode = (message: string, code: unknown) => Object.assign(new Error(message), { code })

test.each<[unknown, string]>([
  [new Error('no link'), 'no link'],
  [withCode('no link', '55006'), 'no link (55006)'],
  [withCode('', 'ECONNREFUSED'), '(ECONNREFUSED)'],
  [withCode('lost (ECONNRESET)', 'ECONNRESET'), 'lost (ECONNRESET)'],
  [withCode('odd', 7), 'odd'],
  ['a text', 'a text'],
  [undefined, 'undefined'],
  [
    new AggregateError([withCode('to ::1', 'ECONNREFUSED'), withCode('to 127.0.0.1', 'ECONNREFUSED')]),
    'to ::1 (ECONNREFUSED); to 127.0.0.1 (ECONNREFUSED)',
  ],
  [new AggregateError([new Error('same'), new Error('same')]), 'same'],
  [new AggregateError([], 'none of them'), 'none of them'],
])('%o is described as %j', (error, text) => {
  expect(describeError(error)).toBe(text)
})

/** The names of the lines that a process of its own has written, while it lives and at its end. */
function openLogger(script: string, options: Parameters<typeof openLog> = ['info']) {
  const module = join(import.meta.dirname, '..', '..', 'src', 'runtime', 'log.ts')
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const log = (await import(${JSON.stringify(module)})).openLog(...${JSON.stringify(options)}); ${script}`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
  })
  const names = () => text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line).msg]))
  const closed = once(child, 'close')
  const hangUp = () => child.stdout.destroy()
  return {
    text: () => text,
    hangUp,
    go: () => child.stdin.write('go'),
    names,
    closed,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

const all = ['first', 'second', 'third']
const thrice = all.map(name => `log.info('${name}');`).join(' ')

test.each<[Parameters<typeof openLog>, string]>([
  [
    ['info'],
    '"id":"7","gone":null,"odd":null,"list":["a",1],"of":{"a":true},"entity_id":"\\"é","msg":"told"',
  ],
  [['warn', { entityIds: false }], '"id":"7","msg":"wrong"'],
  [['silent'], ''],
])('with %j a line has its level, time, facts and name', async (options, facts) => {
  await using logger = openLogger(
    `log.debug('no'); log.info('told', { id: '7', left: undefined, gone: null, odd: NaN, list: ['a', 1], of: { a: true }, entity_id: '"é' })
     if (${options[0] === 'warn'}) log.warn('wrong', { id: '7', entity_id: 'x' })`,
    options,
  )
  await logger.closed
  const line = /^\{"level":"(\w+)","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",(.*)\}\n$/.exec(
    logger.text(),
  )
  expect(line?.slice(1) ?? []).toEqual(facts === '' ? [] : [options[0], facts])
})

test('lines are written in order, those of one moment together', async () => {
  await using logger = openLogger(`${thrice} setInterval(() => {}, 1000)`)
  await until(() => logger.names().length > 0, { what: 'the lines' })
  expect(logger.names()).toEqual(all)
})

test('errors are written at once, after earlier lines', async () => {
  await using logger = openLogger(
    `log.info('first'); log.info('second'); log.warn('third'); process.kill(process.pid, 'SIGKILL')`,
  )
  await logger.closed
  expect(logger.names()).toEqual(all)
})

test('an exiting process loses no line', async () => {
  await using logger = openLogger(`${thrice} process.exit(0)`)
  await logger.closed
  expect(logger.names()).toEqual(all)
})

test('many lines are flushed early, and none is lost', async () => {
  await using logger = openLogger(`for (let i = 0; i < 2_000; i++) log.info(String(i)); process.exit(0)`)
  await logger.closed
  expect(logger.names()).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i)))
})

test('a closed output does not end the process', async () => {
  await using logger = openLogger(`
    process.stdin.once('data', () => {
      for (let i = 0; i < 3; i++) setTimeout(() => log.info('nobody reads'), 20 * i)
      setTimeout(() => process.exit(7), 100)
    })
    log.info('ready')`)
  await until(() => logger.names().length > 0, { what: 'the first line' })
  logger.hangUp()
  logger.go()
  expect(await logger.closed).toEqual([7, null])
})
