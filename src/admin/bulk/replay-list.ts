import { countWaiting } from '../../control/log/cancel.ts'
import { listReplays, type ReplayJob, replayActor, replayProblem } from '../../control/log/replays.ts'
import { notReached, progressOf } from '../../domain/event/replay-job.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { original } from '../kit/original.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf, progressBar } from '../log/progress.ts'
import { number } from '../texts/figures.ts'

const perPage = 25
/** An exact count beyond this is not worth its cost. */
const maxWaiting = 1_000

/** The replays of a webhook, newest first, and its pending deliveries. */
export async function replayList(call: PageCall, webhookId: number, before: number | null): Promise<Html> {
  const { t, control } = call
  const [{ items, next }, waiting] = await Promise.all([
    listReplays(control, webhookId, { limit: perPage, before }),
    countWaiting(control, webhookId, maxWaiting),
  ])
  const { columns } = t.bulk
  return html`<p class="quiet">${t.bulk.pending(waiting.isExact ? number(t, waiting.count) : t.queue.moreThan(number(t, waiting.count)))}</p>
${
  items.length === 0
    ? html`<p class="empty">${t.bulk.noReplays}</p>`
    : html`<div class="card flush"><table class="stacked bulk">
<thead><tr><th scope="col">${columns.started}</th><th scope="col">${columns.range}</th><th scope="col">${columns.progress}</th><th scope="col">${columns.state}</th></tr></thead>
<tbody>${items.map(job => row(call, job))}</tbody></table></div>`
}
<nav class="pages" aria-label="${t.couplings.pages}">${next !== null && html`<a class="button" rel="next" href="/couplings/${webhookId}/replay?before=${next}">${t.log.older}</a>`}</nav>`
}

function row({ t, caller, may }: PageCall, job: ReplayJob): Html {
  const { columns, states, stop } = t.bulk
  const { id, webhookId, state, triggers, lookedAt, queued, endedAt } = job
  const range = html`<span>${moment(new Date(timeOf(job.fromId)))} – ${moment(new Date(timeOf(job.toId)))}</span>`
  const total = countOf(t, { count: job.counted, isExact: job.isExact })
  const isRunning = state === 'running'
  const left = notReached(job)
  return html`<tr id="replay-${id}">
<th scope="row">${moment(job.createdAt, 'second')}<span class="quiet small">${replayActor(caller, job) ?? t.tenants.administrator}</span></th>
<td data-label="${columns.range}">${job.fromVersion !== null && html`<b>${t.bulk.ofMissed}</b> `}${range}${triggers && html`<span class="quiet small">${triggers.join(', ')}</span>`}</td>
<td data-label="${columns.progress}">${isRunning && progressBar(t, progressOf(job), t.bulk.progress)}<span>${t.bulk.done(number(t, lookedAt), total)}</span><span class="quiet small">${t.bulk.queued(number(t, queued))}</span></td>
<td data-label="${columns.state}"><span class="badge ${{ running: '', done: 'good', cancelled: 'warn', failed: 'bad' }[state]}">${states[state]}</span>${state === 'failed' && html`<p class="hint why">${t.bulk.switchedOff}</p>`}${left !== null && html`<p class="hint why">${t.bulk.notReached(number(t, left))}</p>`}${
    job.problem !== null &&
    html`<div class="notice warn"><p>${t.bulk.waits}</p>${original(t, replayProblem(caller, job)!)}</div>`
  }${endedAt && html`<span class="quiet small">${moment(endedAt, 'second')}</span>`}${
    isRunning &&
    may('operator') &&
    html`<form method="post" action="/couplings/${webhookId}/replays/${id}/cancel"><button class="danger">${stop}</button></form>`
  }</td>
</tr>`
}
