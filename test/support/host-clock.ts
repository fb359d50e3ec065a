/** Sets the clock of this host ahead, and not the monotonic one, until it is disposed. */
export function setHostClock(offsetMs: number): Disposable {
  const RealDate = Date
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, self) =>
      Reflect.construct(target, args.length === 0 ? [RealDate.now() + offsetMs] : args, self),
    get: (target, name, self) =>
      name === 'now' ? () => RealDate.now() + offsetMs : Reflect.get(target, name, self),
  })
  return {
    [Symbol.dispose]() {
      globalThis.Date = RealDate
    },
  }
}
