import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { Machine } from './machine.ts'
import type { Manner } from './receivers.ts'

/** What may happen to the whole machine, and what the model makes of it. */
export type Command = fc.AsyncCommand<object, Machine>

const entities = ['user 1', 'user 2', 'user 3', 'company 1', 'company 2']
const actions = ['new', 'update', 'update', 'delete'] as const
const allTriggers = [
  'user.new',
  'user.update',
  'user.delete',
  'company.new',
  'company.update',
  'company.delete',
]

const command = (name: string, run: (at: Machine) => Promise<void>): Command => ({
  check: () => true,
  toString: () => name,
  async run(_, at) {
    at.report(name)
    await run(at)
  },
})

const pauseMs = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 200, max: 2_500 }) },
)
const which = fc.nat({ max: 3 })

const append = fc
  .array(fc.tuple(fc.constantFrom(...entities), fc.constantFrom(...actions)), { minLength: 1, maxLength: 12 })
  .map(events => {
    const lines = events.map(pair => pair.join(' '))
    return command(`append ${lines.join(', ')}`, at => at.append(lines))
  })

const pause = pauseMs.map(ms => command(`wait ${ms} ms`, () => sleep(ms)))

const behave = fc
  .tuple(which, fc.constantFrom<Manner>('accepts', 'accepts', 'fails', 'hangs', 'loses'))
  .map(([n, manner]) => command(`webhook ${n} ${manner}`, async at => at.behave(n, manner)))

const kill = which.map(n => command(`kill process ${n}`, at => at.kill(n)))
const stop = which.map(n => command(`stop process ${n}`, at => at.stop(n)))
const start = fc.constant(command('start a process', async at => at.start()))
const cut = fc
  .tuple(which, fc.integer({ min: 500, max: 7_000 }))
  .map(([n, ms]) => command(`cut process ${n} off for ${ms} ms`, async at => at.cut(n, ms)))

const triggers = fc
  .tuple(which, fc.subarray(allTriggers, { minLength: 1 }))
  .map(([n, list]) =>
    command(`webhook ${n} wants ${list.join(', ')}`, at => at.change(n, { triggers: list })),
  )
const active = fc
  .tuple(which, fc.boolean())
  .map(([n, isActive]) =>
    command(`webhook ${n} is ${isActive ? 'activated' : 'deactivated'}`, at => at.change(n, { isActive })),
  )

const cancel = fc
  .tuple(which, fc.option(fc.constantFrom(...entities)))
  .map(([n, entity]) => command(`cancel ${entity ?? 'all'} of webhook ${n}`, at => at.cancel(n, entity)))
const resend = fc
  .tuple(which, fc.nat())
  .map(([n, event]) => command(`resend event ${event} to webhook ${n}`, at => at.resend(n, event)))
const replay = fc
  .tuple(which, fc.nat())
  .map(([n, event]) => command(`replay from event ${event} to webhook ${n}`, at => at.replay(n, event)))

/** Commands in the order of a run; what does harm is rarer than what it harms. */
export const anyCommands = (max: number) =>
  fc.array(
    fc.oneof(
      { weight: 12, arbitrary: append },
      { weight: 5, arbitrary: pause },
      { weight: 4, arbitrary: behave },
      { weight: 2, arbitrary: kill },
      { weight: 2, arbitrary: start },
      { weight: 1, arbitrary: stop },
      { weight: 2, arbitrary: cut },
      { weight: 2, arbitrary: triggers },
      { weight: 2, arbitrary: active },
      { weight: 1, arbitrary: cancel },
      { weight: 2, arbitrary: resend },
      { weight: 1, arbitrary: replay },
    ),
    { minLength: Math.ceil(max / 2), maxLength: max, size: 'max' },
  )
