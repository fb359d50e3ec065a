/** Sets the clock of this host ahead, and not the monotonic one, until it is disposed. */
export function setHostClock(aheadMs: number): Disposable {
  const RealDate = Date
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, self) =>
      Reflect.construct(target, args.length === 0 ? [RealDate.now() + aheadMs] : args, self),
    get: (target, name, self) =>
      name === 'now' ? () => RealDate.now() + aheadMs : Reflect.get(target, name, self),
  })
  return {
    [Symbol.dispose]() {
      globalThis.Date = RealDate
    },
  }
}
