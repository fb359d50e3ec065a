import { sentAction, type Wantable, type WebhookState } from '../../src/domain/event/wanted.ts'

/**
 * What a filter costs for each event and webhook, in microseconds of the processor: `node test/bench/filters.ts`. Each event is a new object, as the stream
 * brings it, with twenty fields (about 500 bytes), and is checked for as many webhooks as stand in front of the line. The second figure is of a
 * result that holds objects, too (about 900 bytes): one before the field that is asked for, and a list of them behind it.
 */
const runs = 200_000
const fields = Object.fromEntries(
  Array.from({ length: 18 }, (_, i) => [`field_${i}`, `value number ${i} "x"`]),
)

const settings = { theme: 'dark', notify: { mail: true, company_id: 9 }, tags: ['a "b"', 'c'] }
const notes = Array.from({ length: 6 }, (_, id) => ({ id, body: `a note, number ${id}`, company_id: 8 }))

function events(hasObjects: boolean): Wantable[] {
  return Array.from({ length: 1_000 }, (_, i) => ({
    entityType: 'user',
    actionType: 'update',
    body: JSON.stringify({
      ...{ entity_id: i, entity_type: 'user', action_type: 'update' },
      result: {
        ...{
          id: i,
          ...(hasObjects && { settings }),
          ...fields,
          company_id: i % 7,
          ...(hasObjects && { notes }),
        },
      },
    }),
    previous: i % 2 === 0 ? '{"company_id":3}' : '{"field_3":"before"}',
    changed: [i % 2 === 0 ? 'company_id' : 'field_3'],
    omitted: null,
    webhooksVersion: 1,
    onlyWebhookId: null,
    tenant: null,
    tenantBefore: null,
  }))
}

function measure(webhooks: number, filter: WebhookState['filter'], hasObjects: boolean): number {
  const triggers = ['user.new', 'user.update', 'user.delete']
  const states = { version: 1, isActive: true, triggers, updateFields: null, ...(filter && { filter }) }
  const all = Array.from({ length: webhooks }, (_, id) => ({ id, tenant: null, states: [states] }))
  const times: number[] = []
  for (let round = 0; round < 7; round++) {
    let ms = 0
    let pairs = 0
    while (pairs < runs) {
      const page = events(hasObjects)
      const began = process.cpuUsage()
      for (const event of page) for (const webhook of all) sentAction(webhook, event, 'user.update')
      const { user, system } = process.cpuUsage(began)
      ms += (user + system) / 1_000
      pairs += page.length * webhooks
    }
    times.push((ms / pairs) * 1_000)
  }
  return times.toSorted((a, b) => a - b)[3]!
}

const filter = {
  fields: { 'user.company_id': [3, 5], 'user.field_3': ['value number 3 "x"', null] },
  entering: 'new',
  leaving: 'delete',
} as const
for (const hasObjects of [false, true])
  for (const webhooks of [1, 10, 100]) {
    const [without, withFilter] = [measure(webhooks, null, hasObjects), measure(webhooks, filter, hasObjects)]
    process.stdout.write(
      `${webhooks} webhooks${hasObjects ? ', with objects' : ''}: ${without.toFixed(3)} µs without a filter, ${withFilter.toFixed(3)} µs with one of two fields\n`,
    )
  }
