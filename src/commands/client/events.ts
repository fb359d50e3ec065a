import { UsageError, wholeNumber } from '../kit/command.ts'
import type { Called } from './call.ts'
import { checkPositionals, moment } from './options.ts'
import { fieldsTable, print, refused } from './output.ts'
import { subcommand } from './subcommands.ts'
import type { Cell } from './table.ts'

const json = { json: { type: 'boolean', default: false } } as const
const text = { type: 'string' } as const
const maxListed = 1_000
/** With few matching events, a page may be empty although others follow: at most this many are read. */
const maxPages = 50

type Event = Readonly<Record<string, unknown>> & {
  readonly id: string
  readonly entity_type: string
  readonly entity_id: string
  readonly action_type: string
  readonly stored_at: string
  readonly label: string | null
}
type ListedEvent = Event & { readonly webhooks: Readonly<Record<string, number>> }
type Delivery = {
  readonly webhook_id: number
  readonly webhook_name: string
  readonly sentence: string
}
type ShownEvent = Event & { readonly deliveries: readonly Delivery[]; readonly next_cursor: string | null }
type Page = { readonly data: readonly ListedEvent[]; readonly next_cursor: string | null }

/** `events list`: the newest that fit. */
export const listEvents = subcommand(
  {
    ...json,
    ...{ entity: text, id: text, action: text, state: text, from: text, to: text, tenant: text },
    limit: { type: 'string', default: '20' },
  },
  async ({ values, positionals }, call) => {
    checkPositionals(positionals, 0, 'list')
    const wanted = wholeNumber(values.limit)
    if (!(wanted >= 1 && wanted <= maxListed))
      throw new UsageError(`--limit ${JSON.stringify(values.limit)} is not a number from 1 to ${maxListed}`)
    const nowMs = Date.now()
    const query = Object.entries({
      entity_type: values.entity,
      entity_id: values.id,
      action: values.action,
      state: values.state,
      from: values.from && moment('--from', values.from, nowMs),
      to: values.to && moment('--to', values.to, nowMs),
      tenant: values.tenant,
    }).filter((each): each is [string, string] => each[1] !== undefined)
    const get = call()
    if (!get) return 1
    const events: ListedEvent[] = []
    let cursor: string | null | undefined
    for (let pages = 0; events.length < wanted && cursor !== null && pages < maxPages; pages++) {
      const limit = String(Math.min(100, wanted - events.length))
      const address = new URLSearchParams([...query, ['limit', limit]])
      if (cursor) address.set('cursor', cursor)
      const page: Called<Page> = await get<Page>('GET', `/api/events?${address}`)
      if (!page.ok) return refused(page)
      events.push(...page.value.data)
      cursor = page.value.next_cursor
    }
    print(events, eventsTable, values.json)
    if (events.length < wanted && cursor)
      process.stderr.write(`walhook: older events were not searched: continue with --to\n`)
    return 0
  },
)

/** `events show EVENT`: with its deliveries, to as many webhooks as there are. */
export const showEvent = subcommand(json, async ({ values, positionals }, call) => {
  const [id] = checkPositionals(positionals, 1, 'show')
  if (id === undefined || !/^\d+$/.test(id))
    throw new UsageError('show takes the ID of an event: walhook events list shows them')
  const get = call()
  if (!get) return 1
  const first = await get<ShownEvent>('GET', `/api/events/${id}`)
  if (!first.ok) return refused(first)
  const { next_cursor, ...event } = first.value
  const deliveries = [...event.deliveries]
  for (let cursor = next_cursor; cursor !== null; ) {
    const more = await get<ShownEvent>('GET', `/api/events/${id}?cursor=${cursor}`)
    if (!more.ok) return refused(more)
    deliveries.push(...more.value.deliveries)
    cursor = more.value.next_cursor
  }
  print({ ...event, deliveries }, eventTable, values.json)
  return 0
})

function eventsTable(events: readonly ListedEvent[]): [string[], Cell[][]] {
  return [
    ['STORED', 'ENTITY', 'LABEL', 'ACTION', 'WEBHOOKS', 'EVENT'],
    events.map(event => [
      ...[event.stored_at, `${event.entity_type} ${event.entity_id}`, event.label ?? '', event.action_type],
      ...[statesOf(event), event.id],
    ]),
  ]
}

/** The state of most concern first, as the API orders them: `1 dead, 3 delivered`. */
function statesOf({ webhooks }: ListedEvent): Cell {
  const states = Object.entries(webhooks).filter(([, count]) => count > 0)
  const text = states.map(([state, count]) => `${count} ${state}`).join(', ')
  if (webhooks.dead) return { text, colour: 'red' }
  if (webhooks.retrying) return { text, colour: 'yellow' }
  return text === '' ? { text: 'not sent', colour: 'dim' } : text
}

function eventTable({
  deliveries,
  ...event
}: Event & { readonly deliveries: readonly Delivery[] }): [string[], Cell[][]] {
  const [heads, rows] = fieldsTable(event)
  const deliveryRows = deliveries.map(({ webhook_id, webhook_name, sentence }): Cell[] => [
    { text: `${webhook_id} ${webhook_name}`, colour: 'dim' },
    sentence,
  ])
  return [heads, [...rows, ...deliveryRows]]
}
