import { readFileSync, watchFile } from 'node:fs'

/**
 * Loaded with `node --import` before walhook: its clock is off by as many milliseconds as the file CHAOS_CLOCK says,
 * now and whenever that is written anew.
 */
const file = process.env.CHAOS_CLOCK!
const read = () => Number(readFileSync(file, 'utf8').trim() || 0)
let shiftMs = read()
watchFile(file, { interval: 200, persistent: false }, () => {
  shiftMs = read()
})

const RealDate = Date
const now = () => RealDate.now() + shiftMs
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [now()] : args, self),
  apply: () => new RealDate(now()).toString(),
  get: (target, name, self) => (name === 'now' ? now : Reflect.get(target, name, self)),
}) as DateConstructor
