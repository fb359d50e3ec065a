import { shareCount, shareOf } from '../../src/domain/delivery/share.ts'
import { planShares } from '../../src/domain/delivery/share-plan.ts'
import { randomFrom } from '../support/random.ts'
import { table } from './figures.ts'

/**
 * `node test/bench/rebalance.ts`: how shares move between processes that come, stop and die, by the functions of service and
 * without a database. Each process looks every 700 ms, and when it is told of a free share; a share that is given up is free 50 ms later; a
 * process that died is taken over from after 3 s.
 */
const lookMs = 700
const drainMs = 50
const deadMs = 3_000

type Share = { readonly share: number; holderId: number | null; freeAtMs: number }
type Fleet = {
  nextId: number
  holders: number[]
  /** Stops: it gives its shares up and claims none. */
  leaving: number | null
  dead: readonly number[]
  readonly shares: Share[]
}

function openFleet(processes: number, shares: number): Fleet {
  return {
    nextId: processes + 1,
    holders: Array.from({ length: processes }, (_, i) => i + 1),
    leaving: null,
    dead: [],
    shares: Array.from({ length: shares }, (_, share) => ({ share, holderId: null, freeAtMs: 0 })),
  }
}

/** What a change costs: shares that moved, when the last one did, and the longest for which one had no process. */
type Cost = { readonly moves: number; readonly evenMs: number; readonly unservedMs: number }

/** Lets the fleet look at itself until nothing moves any more. */
function settle(fleet: Fleet, random: () => number): Cost {
  const lostAt = new Map<Share, number>()
  const looks: { atMs: number; id: number; isOwn: boolean }[] = []
  const look = (id: number, atMs: number, isOwn: boolean) => {
    const at = looks.findLastIndex(each => each.atMs <= atMs)
    looks.splice(at + 1, 0, { atMs, id, isOwn })
  }
  const free = (each: Share, atMs: number, freeAtMs: number) => {
    Object.assign(each, { holderId: null, freeAtMs })
    if (!lostAt.has(each)) lostAt.set(each, atMs)
  }
  const tell = (atMs: number) => {
    for (const id of fleet.holders) if (!fleet.dead.includes(id)) look(id, atMs, false)
  }
  for (const each of fleet.shares)
    if (each.holderId !== null && fleet.dead.includes(each.holderId)) lostAt.set(each, 0)
    else if (each.holderId !== null && each.holderId === fleet.leaving) free(each, 0, drainMs)
  const alive = fleet.holders.filter(id => !fleet.dead.includes(id) && id !== fleet.leaving)
  for (const id of alive) look(id, random() * lookMs, true)
  if (fleet.leaving !== null) tell(drainMs)
  let [moves, evenMs, unservedMs] = [0, 0, 0]
  for (let changedMs = 0; ; ) {
    const { atMs, id, isOwn } = looks.shift()!
    if (atMs > Math.max(changedMs, fleet.dead.length > 0 ? deadMs : 0) + 2 * lookMs) break
    if (isOwn) look(id, atMs + lookMs, true)
    if (atMs >= deadMs && fleet.dead.length > 0) {
      for (const each of fleet.shares)
        if (each.holderId !== null && fleet.dead.includes(each.holderId)) free(each, 0, atMs)
      fleet.holders = fleet.holders.filter(holder => !fleet.dead.includes(holder))
      fleet.dead = []
      changedMs = atMs
    }
    const holders = fleet.holders.filter(holder => holder !== fleet.leaving)
    const shares = fleet.shares.map(({ share, holderId, freeAtMs }) => ({
      share,
      holderId: holderId === null && freeAtMs > atMs ? 0 : holderId,
    }))
    const { claim, release } = planShares({ me: id, holders, shares })
    for (const share of release) free(fleet.shares[share]!, atMs, atMs + drainMs)
    if (release.length > 0) tell(atMs + drainMs)
    const claimed = fleet.shares
      .filter(each => each.holderId === null && each.freeAtMs <= atMs)
      .slice(0, claim)
    for (const each of claimed) {
      each.holderId = id
      moves++
      unservedMs = Math.max(unservedMs, atMs - (lostAt.get(each) ?? atMs))
      lostAt.delete(each)
    }
    if (claimed.length > 0) evenMs = atMs
    if (claimed.length + release.length > 0) changedMs = atMs
  }
  fleet.holders = fleet.holders.filter(holder => holder !== fleet.leaving)
  fleet.leaving = null
  return { moves, evenMs, unservedMs }
}

/** The busiest process, as a multiple of an even part of the work. */
function imbalance({ shares, holders }: Fleet, weights: readonly number[]): number {
  const work = new Map<number | null, number>()
  for (const [at, { holderId }] of shares.entries())
    work.set(holderId, (work.get(holderId) ?? 0) + weights[at]!)
  const busy = Math.min(holders.length, shares.length)
  return (Math.max(...work.values()) / weights.reduce((sum, each) => sum + each, 0)) * busy
}

/** Of each share its part of the work of 100,000 webhooks with ten entities each, of which few have most, by Zipf's law. */
function weightsOf(count: number): number[] {
  const weights = Array<number>(count).fill(0)
  const random = randomFrom(7)
  for (let n = 0; n < 1_000_000; n++) {
    const share = count === shareCount ? shareOf('user', String(n)) : Math.floor(random() * count)
    weights[share]! += 1 / (1 + Math.floor(n / 10))
  }
  return weights
}

const lines: string[][] = []
for (const count of [shareCount, 60, 120]) {
  const weights = weightsOf(count)
  for (const processes of [2, 4, 8, 12, 100, 1_000]) {
    const random = randomFrom(processes)
    const fleet = openFleet(processes, count)
    settle(fleet, random)
    const even = imbalance(fleet, weights)
    fleet.holders.push(fleet.nextId++)
    const joined = settle(fleet, random)
    fleet.leaving = fleet.holders[0]!
    const stopped = settle(fleet, random)
    fleet.dead = fleet.holders.slice(0, 1)
    const died = settle(fleet, random)
    const of = ({ moves, evenMs, unservedMs }: Cost) =>
      moves === 0
        ? 'none'
        : `${moves} in ${(evenMs / 1_000).toFixed(1)} s (${(unservedMs / 1_000).toFixed(1)} s)`
    lines.push([
      String(count),
      processes.toLocaleString('en'),
      even.toFixed(2),
      of(joined),
      of(stopped),
      of(died),
    ])
  }
}
process.stdout.write(
  `${table(['shares', 'processes', 'busiest', 'one joins: moves', 'the oldest stops', 'the oldest dies'], lines)}\n`,
)
