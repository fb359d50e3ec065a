import { z } from 'zod'
import type { Page } from '../../control/kit/page.ts'
import {
  type EventType,
  findEventType,
  listEventTypes,
  webhookSchema,
} from '../../control/webhooks/event-types.ts'
import type { JsonSchema } from '../../domain/event-types/definitions.ts'
import type { ShownField } from '../../domain/event-types/shown-fields.ts'
import { prettyJson } from '../../domain/value/pretty-json.ts'
import { failedPage } from '../kit/failed.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html } from '../kit/html.ts'
import { idParam } from '../kit/ids.ts'
import { whenSent } from '../kit/names.ts'
import { type PageResponse, page } from '../kit/page.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'
import { webhookPage } from '../webhook/page.ts'

const section = 'catalogue'
const params = z.object({ trigger: z.string() })
const perPage = 100
const addressOf = (trigger: string) => `/catalogue/${encodeURIComponent(trigger)}`

export const cataloguePages = [
  page({
    method: 'get',
    path: '/catalogue',
    role: 'viewer',
    section,
    tenants: 'own',
    async handle({ control, t, query }) {
      const after = given(query, 'after', idParam)
      if (after === wrong) return wrongField(t, 'after')
      const found = await listEventTypes(control, { limit: perPage, after: after ?? 0 })
      if (!found.ok) return failedPage(t, found)
      return { show: 'page', title: t.sections.catalogue, body: list(t, found.value) }
    },
  }),
  page({
    method: 'get',
    path: '/catalogue/:trigger',
    role: 'viewer',
    section,
    tenants: 'own',
    params,
    async handle({ control, t, params: { trigger } }) {
      const found = await findEventType(control, trigger)
      if (!found.ok) return failedPage(t, found)
      return {
        show: 'page',
        title: trigger,
        actions: html`<a class="button" href="${addressOf(trigger)}/schema" download>${t.catalogue.downloadSchema}</a>`,
        body: detail(t, found.value),
      }
    },
  }),
  page({
    method: 'get',
    path: '/catalogue/:trigger/schema',
    role: 'viewer',
    section,
    tenants: 'own',
    params,
    async handle({ control, t, params: { trigger } }) {
      const found = await findEventType(control, trigger)
      return found.ok ? file(trigger, found.value.schema) : failedPage(t, found)
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/schema',
    role: 'viewer',
    async handle({ control, t, params: { id } }) {
      const found = await webhookSchema(control, id)
      return found.ok ? file(`webhook-${id}`, found.value) : failedPage(t, found)
    },
  }),
]

function file(name: string, schema: JsonSchema): PageResponse {
  const text = `${JSON.stringify(schema, null, 2)}\n`
  return { show: 'file', name: `${name}.schema.json`, type: 'application/schema+json', text }
}

function list(t: Texts, { items, next }: Page<EventType, number>): Html {
  const { columns } = t.catalogue
  return html`<p class="lead hint">${t.catalogue.lead}</p>
<div class="card flush"><table class="stacked catalogue">
<thead><tr><th scope="col">${columns.trigger}</th><th scope="col">${columns.when}</th><th scope="col" class="number">${columns.fields}</th><th scope="col">${columns.schema}</th></tr></thead>
<tbody>${items.map(
    ({ trigger, fields }) => html`<tr>
<th scope="row"><a href="${addressOf(trigger)}"><code>${trigger}</code></a></th>
<td data-label="${columns.when}">${whenSent(t, trigger)}</td>
<td data-label="${columns.fields}" class="number">${number(t, fields.length)}</td>
<td data-label="${columns.schema}"><a href="${addressOf(trigger)}/schema" download aria-label="${t.catalogue.downloadOf(trigger)}">${t.catalogue.download}</a></td>
</tr>`,
  )}</tbody></table></div>
${next !== null && html`<nav class="pages" aria-label="${t.couplings.pages}"><a class="button" rel="next" href="/catalogue?after=${next}">${t.couplings.nextPage}</a></nav>`}`
}

function detail(t: Texts, { trigger, fields, example }: EventType): Html {
  const c = t.catalogue
  const title = trigger.endsWith('.delete') ? c.fieldsOfDelete : c.fields
  return html`<p class="lead hint">${whenSent(t, trigger)}.</p>
${
  fields.length === 0
    ? html`<p class="notice">${c.noFields}</p>`
    : html`<section class="card flush"><table class="stacked catalogue" aria-label="${title}">
<thead><tr><th scope="col">${c.field}</th><th scope="col">${c.type}</th></tr></thead>
<tbody>${rows(t, fields)}</tbody></table></section>
<p class="hint absent">${c.mayBeAbsent}</p>`
}
<section class="card"><h2>${c.example}</h2><p class="hint">${c.exampleHint}</p>
<pre tabindex="0" aria-label="${c.example}">${prettyJson(example)}</pre></section>`
}

/** The fields of an object follow it, prefixed with its name. */
function rows(t: Texts, fields: readonly ShownField[], before = ''): Html {
  return html`${fields.map(field => {
    const name = before + field.name
    const inside = field.fields && rows(t, field.fields, `${name}${field.isList ? '[]' : ''}.`)
    return html`<tr><th scope="row"><code>${name}</code></th><td data-label="${t.catalogue.type}"><span>${typeText(t, field)}</span></td></tr>${inside}`
  })}`
}

function typeText(t: Texts, { type, isList, mayBeNull, values }: ShownField): Html {
  const c = t.catalogue
  const word = t.catalogue.types[type]
  const words = isList ? c.listOf(word) : word
  const known = (values ?? []).map(
    value => html` <code>${typeof value === 'string' ? value : JSON.stringify(value)}</code>`,
  )
  if (values?.length === 1 && !isList && !mayBeNull) return html`${c.always}${known}`
  return html`${mayBeNull && known.length === 0 ? c.orNull(words) : words}${known}${mayBeNull && known.length > 0 && html` <code>null</code>`}`
}
