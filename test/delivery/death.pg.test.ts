import { expect, test } from 'vitest'
import { timeOf } from '../../src/domain/value/time-id.ts'
import { append } from '../../src/outbox/log/append.ts'
import { toLogEvent } from '../../src/outbox/log/log.ts'
import { openFleet } from '../support/machine/fleet.ts'
import { openReceivers, type Request } from '../support/machine/receivers.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'
import { until } from '../support/wait.ts'

/**
 * A process that serves all shares of an outbox, has delivered one event, and may send nothing that comes from now on before it has committed
 * that. Where its webhook is behind, its receiver hangs.
 */
async function open({ isBehind = false } = {}) {
  const at = await openTestOutbox()
  const requests: Request[] = []
  const receivers = openReceivers(request => requests.push(request))
  const fleet = await openFleet(at.outbox, receivers, 5_000)
  const webhookId = await at.webhook(everyUser)
  const first = fleet.start()
  let previousEventId = 0n

  /** Appends, and hands it over to the first process, which has captured it. */
  async function capture(...lines: string[]) {
    const input = at.nextAppend(...lines)
    const { webhooksVersion } = await append(at.outbox.pool, input)
    const events = input.events.map(event => toLogEvent(event, webhooksVersion, null))
    const lastEventId = events.at(-1)!.id
    first.appended({ previousEventId, lastEventId, events })
    previousEventId = lastEventId
    return events.map(({ id }) => id)
  }
  const look = async (sql: string) => (await at.outbox.pool.query(sql)).rows
  /** What comes from now on is beyond what may be sent. */
  const passReach = () =>
    until(
      async () => {
        const table = isBehind ? 'streams' : 'holders'
        const [{ reach }] = await look(`select max(may_send_up_to) as reach from walhook.${table}`)
        return reach !== null && reach > 0n && Date.now() > timeOf(reach)
      },
      { what: 'the reach to be passed' },
    )
  const of = (id: bigint) => requests.filter(({ eventIds }) => eventIds.includes(id))
  const accepted = (id: bigint) =>
    until(() => of(id).find(({ isAccepted }) => isAccepted), {
      what: 'it to be delivered',
      timeoutMs: 60_000,
    })

  await until(
    async () => (await look('select from walhook.shares where holder_id is not null')).length === 12,
    { what: 'it to serve all shares' },
  )
  const [warm] = await capture('user 9 new')
  await accepted(warm!)
  if (isBehind) {
    receivers.manners.set(webhookId, 'hangs')
    await capture('user 8 new')
    await until(async () => (await look('select from walhook.streams')).length === 12, {
      what: 'it to have fallen behind',
    })
  }
  await passReach()
  return {
    ...{ at, fleet, receivers, webhookId, first, capture, look, passReach, of, accepted },
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
}

// They mostly wait, each with an outbox of its own.
test.concurrent('only events within a tenth of a second after a death wait for the requests in flight', async () => {
  await using the = await open()
  const [holder] = await the.look('select may_send_up_to from walhook.holders')
  const [{ head }] = await the.look('select last_event_id as head from walhook.positions')
  expect(timeOf(holder.may_send_up_to) - timeOf(head)).toBeLessThanOrEqual(100)
})

test.concurrent.each([
  ['by the main stream', {}],
  ['to a webhook that is behind', { isBehind: true }],
])(
  'a process sends nothing beyond its committed limit, %s, so that a successor can send the rest at once',
  async (_way, how) => {
    await using the = await open(how)
    the.receivers.manners.set(the.webhookId, 'hangs')
    // It still counts as alive, and can't commit anything.
    the.first.link.set('cut')
    const [event] = await the.capture('user 1 new')
    the.fleet.start()
    await until(async () => (await the.look('select from walhook.holders')).length === 2, {
      what: 'another one to join',
    })
    await the.fleet.kill(the.first)
    the.receivers.manners.set(the.webhookId, 'accepts')
    await the.accepted(event!)
    expect(the.of(event!).map(({ process }) => process)).toEqual([1])
  },
)

test.concurrent('after a kill, events that may be in flight are sent later, all others at once', async () => {
  await using the = await open()
  the.receivers.manners.set(the.webhookId, 'hangs')
  const [event] = await the.capture('user 1 new')
  const [lost] = await until(() => the.of(event!).length === 1 && the.of(event!), { what: 'it to be sent' })
  await the.passReach()
  await the.fleet.kill(the.first)
  the.receivers.manners.set(the.webhookId, 'accepts')
  const [{ alive_until: aliveUntil }] = await the.look('select alive_until from walhook.holders')
  the.fleet.start()
  const [lagging, free] = await the.at.append('user 1 update', 'user 2 new')
  await the.accepted(free!)
  expect(Date.now()).toBeLessThan(aliveUntil.getTime())
  expect(the.of(event!)).toHaveLength(1)
  await the.accepted(lagging!)
  expect(Date.now()).toBeGreaterThanOrEqual(aliveUntil.getTime())
  const [, again] = the.of(event!)
  expect(again!.startedMs).toBeGreaterThan(lost!.endedMs)
  expect(the.of(event!)).toHaveLength(2)
  expect(the.of(lagging!)[0]!.startedMs).toBeGreaterThan(again!.endedMs)
})

test.concurrent('rows are written only up to the committed limit; a successor would send others again', async () => {
  await using the = await open()
  const batching = await the.at.webhook(everyUser, true, { batch: { maxEvents: 8, maxWaitMs: 1 } })
  await the.look(`
    create table beyond (event_id bigint);
    create function note() returns trigger language plpgsql as $$ begin
      if new.event_id > greatest(
        (select may_send_up_to from walhook.streams s where s.webhook_id = new.webhook_id and s.share = new.share), 0)
      then insert into beyond values (new.event_id); end if;
      return new;
    end $$;
    create trigger note before insert on walhook.deliveries for each row execute function note()`)
  for (let n = 1; n <= 4; n++) {
    const [event] = await the.capture(`user ${n} new`)
    await until(() => the.of(event!).some(({ webhookId }) => webhookId === batching), { what: 'its batch' })
    await the.passReach()
  }
  expect(await the.look('select event_id from beyond')).toEqual([])
})
