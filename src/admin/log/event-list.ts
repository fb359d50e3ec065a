import { type LabelledLine, listEvents, type Scanned } from '../../control/log/events.ts'
import { type TimeId, timeOf } from '../../domain/value/time-id.ts'
import { failedPage } from '../kit/failed.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html, moment, nothing } from '../kit/html.ts'
import { bigIdParam } from '../kit/ids.ts'
import { entityName } from '../kit/names.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { tenantBadge, tenantFilter } from '../tenant/badge.ts'
import { subjectOf } from './attempt-line.ts'
import { addressOf, type EventOptions, eventFilterForm, isAsked, readEventOptions } from './event-filter.ts'
import { stateCell } from './event-states.ts'

const perPage = 25
const liveEveryMs = 1_500
/** A filter by state costs more. */
const liveByStateEveryMs = 5_000

/** The newest matching events. The first page is live. */
export async function eventsPage(call: PageCall): Promise<PageResponse> {
  const { query, t } = call
  const options = readEventOptions(call)
  const before = given(query, 'before', bigIdParam) ?? null
  if (before === wrong) return wrongField(t, 'before')
  if (Object.keys(options.problems).length > 0) return eventsResponse(call, options, nothing, { status: 422 })
  const found = await read(call, options, before)
  if (!found.ok) return failedPage(t, found)
  const live = before === null && html` data-live="${addressOf(options, {}, '/events/live')}"`
  return eventsResponse(
    call,
    options,
    html`<div id="events"${live}>${part(call, options, before, found.value)}</div>`,
  )
}

export async function liveEvents(call: PageCall): Promise<PageResponse> {
  const options = readEventOptions(call)
  if (Object.keys(options.problems).length > 0) return eventsResponse(call, options, nothing, { status: 422 })
  return {
    show: 'live',
    everyMs: options.filter.state === undefined ? liveEveryMs : liveByStateEveryMs,
    async render(nowMs) {
      const found = await read(call, options, null)
      if (!found.ok) throw new Error('the filter is wrong')
      return part({ ...call, nowMs }, options, null, found.value)
    },
  }
}

const read = ({ control, caller }: PageCall, { filter, tenant }: EventOptions, before: TimeId | null) =>
  listEvents(control, caller, { filter, tenant, limit: perPage, before })

export function eventsResponse(
  call: PageCall,
  options: EventOptions,
  list: Html,
  { id = '', status = 200 }: { id?: string; status?: 200 | 404 | 422 } = {},
): PageResponse {
  const { t } = call
  const { entity_type: entityType, entity_id: entityId } = options.typed
  return {
    show: 'page',
    title: t.sections.events,
    ...(entityType !== undefined && { of: `${entityName(t, entityType)} ${entityId ?? ''}`.trim() }),
    status,
    body: html`<form class="search" role="search" action="/events" aria-label="${t.events.byId}">
<div class="field"><label for="id">${t.events.byId}</label><input id="id" name="id" value="${id}" autocomplete="off" spellcheck="false"></div>
<button>${t.couplings.find}</button></form>
${eventFilterForm(call, options)}
${tenantFilter(call, '/events')}${list}`,
  }
}

function part(
  call: PageCall,
  options: EventOptions,
  before: TimeId | null,
  found: Scanned<LabelledLine>,
): Html {
  const { t } = call
  const { items, next, isPartial } = found
  const goOn = isPartial ? t.events.goOn : t.log.older
  return html`${items.length === 0 ? !isPartial && html`<p class="empty">${emptyText(call, options, before)}</p>` : table(call, items)}
${isPartial && next !== null && html`<p class="${items.length === 0 ? 'empty' : 'hint'}"><span>${items.length === 0 ? t.events.noneSoFar : t.events.someSoFar} ${t.events.lookedTo} ${moment(new Date(timeOf(next)), 'second')}.</span></p>`}
<nav class="pages" aria-label="${t.couplings.pages}">${before !== null && html`<a class="button" href="${addressOf(options)}">${t.log.newest}</a>`}${next !== null && html`<a class="button" rel="next" href="${addressOf(options, { before: String(next) })}">${goOn}</a>`}</nav>`
}

function emptyText({ t }: PageCall, options: EventOptions, before: TimeId | null): string {
  const names = Object.keys(options.typed)
  if (before !== null) return t.events.noneOlder
  if (names.length === 2 && names.includes('entity_id')) return t.events.noneOfEntity
  return isAsked(options) ? t.events.noneFits : t.events.none
}

function table(call: PageCall, items: readonly LabelledLine[]): Html {
  const { t } = call
  return html`<div class="card flush"><table class="stacked events">
<thead><tr><th scope="col">${t.events.event}</th><th scope="col">${t.events.state}</th><th scope="col">${t.event.changed}</th><th scope="col">${t.events.stored}</th><th scope="col">${t.events.id}</th></tr></thead>
<tbody>${items.map(event => row(call, event))}</tbody></table></div>`
}

function row(call: PageCall, event: LabelledLine): Html {
  const { t } = call
  const { id, changed, counts } = event
  return html`<tr><th scope="row"><a class="subject" href="/events/${id}">${subjectOf(t, { ...event, eventIds: null })}</a> ${event.label !== null && html`<span class="label">${event.label}</span> `}${tenantBadge(call, event, '/events')}</th>
<td data-label="${t.events.state}">${stateCell(t, id, counts)}</td>
<td data-label="${t.event.changed}"${changed === null && html` class="none"`}>${changed?.join(', ') ?? '–'}</td>
<td data-label="${t.events.stored}">${storedAt(call, event)}</td>
<td data-label="${t.events.id}"><span class="quiet id">${id}</span></td></tr>`
}

/** Beyond this, the commit time is shown too. */
const lateMs = 60_000

/** When an event was stored, which filters use; and when its change was committed, if much earlier. */
function storedAt({ t }: PageCall, { id, committedAt }: LabelledLine): Html {
  const storedMs = timeOf(id)
  const isLate = Math.abs(storedMs - committedAt.getTime()) > lateMs
  return html`${moment(new Date(storedMs), 'second')}${isLate && html`<div class="hint">${t.events.changedAt} ${moment(committedAt, 'second')}</div>`}`
}
