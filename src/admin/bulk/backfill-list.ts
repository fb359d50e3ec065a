import { backfillStarters, listBackfills } from '../../control/status/backfills.ts'
import { type Backfill, forecast, isOpen } from '../../domain/capture/backfill.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { entityName } from '../kit/names.ts'
import { original } from '../kit/original.ts'
import type { PageCall } from '../kit/page.ts'
import { progressBar } from '../log/progress.ts'
import { number } from '../texts/figures.ts'
import { pageText } from '../texts/texts.ts'

const perPage = 25

/** The backfills that send rows to a webhook, newest first. */
export async function backfillList(call: PageCall, webhookId: number, before: number | null): Promise<Html> {
  const { t, control } = call
  const { items, next } = await listBackfills(control, { limit: perPage, before, webhookId })
  const starters = await backfillStarters(control, items)
  const { columns } = t.bulk
  return html`${
    items.length === 0
      ? html`<p class="empty">${t.bulk.noBackfills}</p>`
      : html`<div class="card flush"><table class="stacked bulk">
<thead><tr><th scope="col">${columns.started}</th><th scope="col">${t.log.entityType}</th><th scope="col">${columns.progress}</th><th scope="col">${columns.state}</th></tr></thead>
<tbody>${items.map(one => row(call, webhookId, one, starters.get(one.id) ?? null))}</tbody></table></div>`
  }
<nav class="pages" aria-label="${t.couplings.pages}">${next !== null && html`<a class="button" rel="next" href="/couplings/${webhookId}/backfill?before=${next}">${t.log.older}</a>`}</nav>`
}

function row(
  { t, may, nowMs }: PageCall,
  webhookId: number,
  backfill: Backfill,
  starter: string | null,
): Html {
  const { columns, states, stop } = t.bulk
  const { id, entityType, state, rowsDone, rowsEstimate, reason, endedAt, createdAt } = backfill
  const isRunning = isOpen(backfill)
  const { rowsPerSecond, doneAt } = forecast(backfill, nowMs)
  // An estimate may be too low: only the state shows the end.
  const share = rowsEstimate === null || rowsEstimate === 0 ? null : Math.min(0.99, rowsDone / rowsEstimate)
  const total = rowsEstimate === null ? null : number(t, rowsEstimate)
  const why = reason === null ? null : original(t, reason, pageText(t, backfill.code))
  return html`<tr id="backfill-${id}">
<th scope="row">${moment(createdAt, 'second')}${starter !== null && html`<span class="quiet small">${starter}</span>`}</th>
<td data-label="${t.log.entityType}">${entityName(t, entityType)}${backfill.webhookId === null && html`<span class="quiet small">${t.bulk.everyWebhook}</span>`}</td>
<td data-label="${columns.progress}">${isRunning && progressBar(t, state === 'waiting' ? 0 : share, t.bulk.progress)}<span>${isRunning && total !== null ? t.bulk.rowsOf(number(t, rowsDone), total) : t.bulk.rowsDone(number(t, rowsDone))}</span>${
    isRunning &&
    rowsPerSecond !== null &&
    html`<span class="quiet small">${t.bulk.rate(number(t, Math.round(rowsPerSecond)))}${doneAt && html` ${t.bulk.doneAbout} ${moment(doneAt, 'second')}`}</span>`
  }</td>
<td data-label="${columns.state}"><span class="badge ${{ waiting: '', running: '', done: 'good', cancelled: 'warn', failed: 'bad' }[state]}">${states[state]}</span>${why}${endedAt && html`<span class="quiet small">${moment(endedAt, 'second')}</span>`}${
    isRunning &&
    may('operator') &&
    backfill.webhookId === webhookId &&
    html`<form method="post" action="/couplings/${webhookId}/backfills/${id}/cancel"><button class="danger">${stop}</button></form>`
  }</td>
</tr>`
}
