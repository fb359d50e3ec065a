import { z } from 'zod'
import {
  type EventLine,
  listEvents,
  readEvent,
  type ShownEvent,
  tellEvent,
} from '../../control/log/events.ts'
import { errorAttributes, errorSummary, errorsOf, errorText, type FieldError } from '../kit/errors.ts'
import { failedAnswer } from '../kit/failed.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html, moment, momentText, nothing } from '../kit/html.ts'
import { bigIdParam } from '../kit/ids.ts'
import { entityName } from '../kit/names.ts'
import { type PageAnswer, type PageCall, page } from '../kit/page.ts'
import { tenantBadge, tenantFilter, tenantWished } from '../tenant/badge.ts'
import type { Texts } from '../texts/en.ts'
import { explainTextsFor } from '../texts/texts.ts'
import { subjectOf } from './attempt-line.ts'
import { becamePart } from './event-became.ts'
import { shownBody } from './shown-body.ts'

const place = 'events'
const params = z.object({ event: bigIdParam })
const liveEveryMs = 1_500
const perPage = 25

export const eventPages = [
  page({ method: 'get', path: '/events', role: 'viewer', place, tenants: 'own', handle: eventsPage }),
  page({
    method: 'get',
    path: '/events/:event',
    role: 'viewer',
    place,
    tenants: 'own',
    params,
    async handle(call) {
      const { control, caller, params, t } = call
      const read = await readEvent(control, caller, params.event)
      if (!read.ok) return failedAnswer(t, read)
      const event = read.value
      const found = await tellEvent(control, caller, params.event, explainTextsFor(t))
      if (!found.ok) return failedAnswer(t, found)
      // The forms of this page, also of the parts that come later, are carried out once.
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
    place,
    tenants: 'own',
    params,
    async handle(call) {
      const { control, caller, params, query, t } = call
      const found = await tellEvent(control, caller, params.event, explainTextsFor(t))
      if (!found.ok) return failedAnswer(t, found)
      const key = /^[0-9a-f]{32}$/.exec(query.get('key') ?? '')?.[0] ?? ''
      return {
        show: 'live',
        everyMs: liveEveryMs,
        async render(nowMs) {
          const now = await tellEvent(control, caller, params.event, explainTextsFor(t))
          if (!now.ok) throw new Error(`event ${params.event} is gone`)
          return becamePart({ ...call, nowMs }, now.value, key)
        },
      }
    },
  }),
]

const goodNews = ['resent', 'cancelled']

/** What was done, by a form of this page or of one that leads here. */
function notice({ t, query }: PageCall): Html | false {
  const done = query.get('done') ?? ''
  if (!Object.hasOwn(t.event.done, done)) return false
  const kind = goodNews.includes(done) ? 'good' : 'warn'
  return html`<p class="notice ${kind}" role="status">${t.event.done[done as keyof Texts['event']['done']]}</p>`
}

/** Looks for an event by its id, or by the `webhook-id` that a receiver has, or for those of an entity; else the newest. */
async function eventsPage(call: PageCall): Promise<PageAnswer> {
  const { control, caller, query, t } = call
  const text = (name: string) => (query.get(name) ?? '').trim().replaceAll('\0', '').toWellFormed()
  const [id, entityType, entityId] = [text('id'), text('entity_type'), text('entity_id').slice(0, 1_024)]
  if (id !== '') {
    const sought = /^(?:msg_(\d{1,10})_)?(\d{1,19})$/.exec(id)
    const event = bigIdParam.safeParse(sought?.[2] ?? '').data
    const found = event === undefined ? null : await readEvent(control, caller, event)
    if (found?.ok) {
      const at = sought?.[1] === undefined ? '' : `#webhook-${sought[1]}`
      return { show: 'redirect', to: `/events/${event}${at}` }
    }
    return eventsAnswer(call, nothingFound(t.events.noSuchId), id, 404)
  }
  if ((entityType === '') !== (entityId === ''))
    return eventsAnswer(
      call,
      nothing,
      id,
      422,
      errorsOf({ [entityId === '' ? 'entity_id' : 'entity_type']: t.log.wrong.entity }),
    )
  const entity = entityId === '' ? null : { entityType, entityId }
  const tenant = tenantWished(query)
  const before = given(query, 'before', bigIdParam) ?? null
  if (before === wrong) return wrongField(t, 'before')
  const { items, next } = await listEvents(control, caller, { entity, tenant, limit: perPage, before })
  const address = (more: Record<string, string>) =>
    `/events?${new URLSearchParams({ ...(tenant !== null && { tenant }), ...(entity && { entity_type: entityType, entity_id: entityId }), ...more })}`
  const list =
    items.length === 0
      ? nothingFound(entity ? t.events.noneOfEntity : before === null ? t.events.none : t.events.noneOlder)
      : eventTable(call, items)
  return eventsAnswer(
    call,
    html`${tenantFilter(call, '/events')}${list}<nav class="pages" aria-label="${t.couplings.pages}">${before !== null && html`<a class="button" href="${address({})}">${t.log.newest}</a>`}${next !== null && html`<a class="button" rel="next" href="${address({ before: String(next) })}">${t.log.older}</a>`}</nav>`,
    id,
  )
}

const nothingFound = (sentence: string) => html`<p class="empty">${sentence}</p>`

function eventsAnswer(
  { t, control, query }: PageCall,
  list: Html,
  id: string,
  status: 200 | 404 | 422 = 200,
  errors: readonly FieldError[] = [],
): PageAnswer {
  const [type, entityId] = [query.get('entity_type') ?? '', query.get('entity_id') ?? '']
  return {
    show: 'page',
    title: t.places.events,
    ...(type !== '' && entityId !== '' && { of: `${entityName(t, type)} ${entityId}` }),
    status,
    body: html`${errorSummary(t.errors.someWrong, errors)}<div class="searches"><form class="search" role="search" action="/events" aria-label="${t.events.byId}">
<div class="field"><label for="id">${t.events.byId}</label><input id="id" name="id" value="${id}" autocomplete="off" spellcheck="false"></div>
<button>${t.couplings.find}</button></form>
<form class="search" role="search" action="/events" aria-label="${t.events.byEntity}">
<div class="field"><label for="entity_type">${t.log.entityType}</label><select id="entity_type" name="entity_type"${errorAttributes(errors, 'entity_type')}><option value="">${t.log.any}</option>${control.entityTypes.map(
      one => html`<option value="${one}"${one === type && html` selected`}>${entityName(t, one)}</option>`,
    )}</select>${errorText(errors, 'entity_type')}</div>
<div class="field"><label for="entity_id">${t.log.entityId}</label><input id="entity_id" name="entity_id" value="${entityId}" autocomplete="off"${errorAttributes(errors, 'entity_id')}>${errorText(errors, 'entity_id')}</div>
<button>${t.couplings.find}</button></form></div>
${list}`,
  }
}

function eventTable(call: PageCall, items: readonly EventLine[]): Html {
  const { t } = call
  return html`<div class="card flush"><table class="stacked events">
<thead><tr><th scope="col">${t.events.event}</th><th scope="col">${t.event.changed}</th><th scope="col">${t.event.committed}</th><th scope="col">${t.events.id}</th></tr></thead>
<tbody>${items.map(
    event => html`<tr><th scope="row"><a class="subject" href="/events/${event.id}">${subjectOfEvent(call, event)}</a> ${tenantBadge(call, event, '/events')}</th>
<td data-label="${t.event.changed}"${event.changed === null && html` class="none"`}>${event.changed?.join(', ') ?? '–'}</td>
<td data-label="${t.event.committed}">${moment(event.committedAt, 'second')}</td>
<td data-label="${t.events.id}"><span class="quiet id">${event.id}</span></td></tr>`,
  )}</tbody></table></div>`
}

const subjectOfEvent = ({ t }: PageCall, event: EventLine) => subjectOf(t, { ...event, eventIds: null })

function about(call: PageCall, event: ShownEvent): Html {
  const { t, caller } = call
  const { id, committedAt, changed, omitted, body, previous, tooLargeBytes } = event
  return html`<section class="card grid"><dl class="facts">
<div><dt>${t.event.committed}</dt><dd>${moment(committedAt, 'second')}</dd></div>
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
