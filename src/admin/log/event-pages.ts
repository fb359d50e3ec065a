import { z } from 'zod'
import { type EventLine, type LabelledEvent, readEvent, readEventStory } from '../../control/log/events.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import { failedPage } from '../kit/failed.ts'
import { type Html, html, moment, momentText } from '../kit/html.ts'
import { bigIdParam } from '../kit/ids.ts'
import { entityName } from '../kit/names.ts'
import { type PageCall, type PageResponse, page } from '../kit/page.ts'
import { tenantBadge } from '../tenant/badge.ts'
import type { Texts } from '../texts/en.ts'
import { explainTextsFor } from '../texts/texts.ts'
import { subjectOf } from './attempt-line.ts'
import { becamePart } from './event-became.ts'
import { readEventOptions } from './event-filter.ts'
import { eventsPage, eventsResponse, liveEvents } from './event-list.ts'
import { shownBody } from './shown-body.ts'

const section = 'events'
const params = z.object({ event: bigIdParam })
const liveEveryMs = 1_500

export const eventPages = [
  page({ method: 'get', path: '/events', role: 'viewer', section, tenants: 'own', handle: findOrList }),
  page({ method: 'get', path: '/events/live', role: 'viewer', section, tenants: 'own', handle: liveEvents }),
  page({
    method: 'get',
    path: '/events/:event',
    role: 'viewer',
    section,
    tenants: 'own',
    params,
    async handle(call) {
      const { control, caller, params, t } = call
      const read = await readEvent(control, caller, params.event)
      if (!read.ok) return failedPage(t, read)
      const event = read.value
      const found = await readEventStory(control, caller, params.event, explainTextsFor(t))
      if (!found.ok) return failedPage(t, found)
      // The idempotency key of this page's forms, also in parts that are loaded later.
      const key = control.randomBytes(16).toString('hex')
      return {
        show: 'page',
        title: `${subjectOfEvent(call, event)}, ${momentText(event.committedAt, 'second')}`,
        body: html`<div class="one">
${notice(call)}
${about(call, event)}
<h2>${t.event.became}</h2>
<div id="became" data-live="/events/${event.id}/live?key=${key}">${becamePart(call, found.value, key)}</div>
</div>`,
      }
    },
  }),
  page({
    method: 'get',
    path: '/events/:event/live',
    role: 'viewer',
    section,
    tenants: 'own',
    params,
    async handle(call) {
      const { control, caller, params, query, t } = call
      const found = await readEventStory(control, caller, params.event, explainTextsFor(t))
      if (!found.ok) return failedPage(t, found)
      const key = /^[0-9a-f]{32}$/.exec(query.get('key') ?? '')?.[0] ?? ''
      return {
        show: 'live',
        everyMs: liveEveryMs,
        async render(nowMs) {
          const now = await readEventStory(control, caller, params.event, explainTextsFor(t))
          if (!now.ok) throw new Error(`event ${params.event} is gone`)
          return becamePart({ ...call, nowMs }, now.value, key)
        },
      }
    },
  }),
]

const goodNews = ['resent', 'cancelled']

/** The notice of a finished operation. */
function notice({ t, query }: PageCall): Html | false {
  const done = query.get('done') ?? ''
  if (!Object.hasOwn(t.event.done, done)) return false
  const kind = goodNews.includes(done) ? 'good' : 'warn'
  return html`<p class="notice ${kind}" role="status">${t.event.done[done as keyof Texts['event']['done']]}</p>`
}

/** Finds an event by its id, or by its `webhook-id`; otherwise the list. */
async function findOrList(call: PageCall): Promise<PageResponse> {
  const { control, caller, query, t } = call
  const id = (query.get('id') ?? '').trim()
  if (id === '') return await eventsPage(call)
  const sought = /^(?:msg_(\d{1,10})_)?(\d{1,19})$/.exec(id)
  const event = bigIdParam.safeParse(sought?.[2] ?? '').data
  const found = event === undefined ? null : await readEvent(control, caller, event)
  if (!found?.ok) {
    const nothing = html`<p class="empty">${t.events.noSuchId}</p>`
    return eventsResponse(call, readEventOptions(call), nothing, { id: id.toWellFormed(), status: 404 })
  }
  const at = sought?.[1] === undefined ? '' : `#webhook-${sought[1]}`
  return { show: 'redirect', to: `/events/${event}${at}` }
}

const subjectOfEvent = ({ t }: PageCall, event: EventLine) => subjectOf(t, { ...event, eventIds: null })

function about(call: PageCall, event: LabelledEvent): Html {
  const { t, caller } = call
  const { id, committedAt, changed, omitted, body, previous, tooLargeBytes } = event
  return html`<section class="card grid"><dl class="facts">
${event.label !== null && html`<div><dt>${entityName(t, event.entityType)}</dt><dd>${event.label}</dd></div>`}
<div><dt>${t.event.committed}</dt><dd>${moment(committedAt, 'second')}</dd></div>
<div><dt>${t.events.stored}</dt><dd>${moment(new Date(timeOf(id)), 'second')}</dd></div>
${changed !== null && html`<div><dt>${t.event.changed}</dt><dd>${changed.join(', ') || '–'}</dd></div>`}
${omitted !== null && html`<div><dt>${t.event.omitted}</dt><dd>${omitted.join(', ')}</dd></div>`}
${caller.tenant === null && event.tenant !== null && html`<div><dt>${t.tenants.tenant}</dt><dd>${tenantBadge(call, event, '/events')}</dd></div>`}
<div><dt>${t.events.id}</dt><dd><code>${id}</code></dd></div>
</dl>
<details><summary>${t.event.body}</summary><pre tabindex="0" aria-label="${t.event.body}">${tooLargeBytes === undefined ? shownBody(t, body) : t.attempt.tooLarge(tooLargeBytes)}</pre></details>
${previous !== null && html`<details><summary>${t.event.previous}</summary><pre tabindex="0" aria-label="${t.event.previous}">${shownBody(t, previous)}</pre></details>`}
<p><a href="/events?${new URLSearchParams({ entity_type: event.entityType, entity_id: event.entityId }).toString()}">${t.event.others}</a></p>
</section>`
}
