import type { Caller, Control } from '../control/kit/control.ts'
import { type Health, readHealth } from '../control/status/health.ts'
import { lagBytes, maxBehind, type Status } from '../control/status/status.ts'
import { lostSentence } from '../domain/capture/lost-texts.ts'
import { describePageReason } from '../domain/capture/page-failures.ts'
import { type Finding, findings } from '../domain/shown/findings.ts'
import { formatProblem } from '../domain/value/problem.ts'
import { type Html, html, moment } from './kit/html.ts'
import { original } from './kit/original.ts'
import { page } from './kit/page.ts'
import { trafficPlot } from './kit/plot.ts'
import { tenantHealth } from './tenant/health.ts'
import type { Texts } from './texts/en.ts'
import { bytes, duration, milliseconds, number } from './texts/figures.ts'
import { captureText, gapText, lostText, pageText, refusalText } from './texts/texts.ts'

const liveEveryMs = 10_000
const section = 'health'

export const healthPages = [
  page({
    method: 'get',
    path: '/health',
    role: 'viewer',
    section,
    tenants: 'own',
    async handle({ control, caller, t, nowMs }) {
      return {
        show: 'page',
        title: t.health.title,
        body: html`<div class="health" data-live="/health/live">${await content(t, control, caller, nowMs)}</div>`,
      }
    },
  }),
  page({
    method: 'get',
    path: '/health/live',
    role: 'viewer',
    section,
    tenants: 'own',
    async handle({ control, caller, t }) {
      return {
        show: 'live',
        everyMs: liveEveryMs,
        render: nowMs => content(t, control, caller, nowMs),
      }
    },
  }),
]

async function content(t: Texts, control: Control, { tenant }: Caller, nowMs: number): Promise<Html> {
  if (tenant !== null) return await tenantHealth(t, control, tenant, nowMs)
  return overview(t, await readHealth(control, nowMs))
}

function overview(t: Texts, health: Health): Html {
  return html`${verdict(t, health)}
${figures(t, health)}
<div class="plots">${trafficPlot(t, t.health.lastHour, health.hour, 12)}${trafficPlot(t, t.health.lastDay, health.day, 24)}</div>
${cells(t, health)}${gaps(t, health)}`
}

/** Each finding with its advice, or that all is well. */
function verdict(t: Texts, health: Health): Html {
  const { findings: found } = health
  const isWell = found.every(finding => findings[finding] === 'note')
  return html`${isWell && html`<p class="notice good">${t.health.allWell}</p>`}${found.map(finding => {
    const { what, advice } = t.health.findings[finding]
    const why = whyOf(t, finding, health)
    return html`<div class="notice ${findings[finding]}"><p><b>${what}</b></p>${why}<p>${advice}</p></div>`
  })}`
}

function whyOf(t: Texts, finding: Finding, { status, mails, asking, webhooks }: Health): Html | Html[] {
  if (finding === 'recipients_unasked') return askTrouble(t, asking)
  if (finding === 'mails_failed') return mailTrouble(t, mails)
  if (finding === 'webhooks_unwell') return unwellWebhooks(t, webhooks)
  return reasonsOf(t, finding, status)
}

/** `3 of 6 webhooks are failing`, and which. */
function unwellWebhooks(t: Texts, { counts, unwell }: Health['webhooks']): Html {
  const { shown } = t.couplings
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return html`${(['disabled', 'failing'] as const).map(
    state =>
      counts[state] > 0 &&
      html`<p><a href="/couplings?state=${state}">${shown.sentence[state](counts[state], all)}</a> ${unwell
        .filter(each => each.state === state)
        .map(({ id, name }, i) => html`${i > 0 && ', '}<a href="/couplings/${id}">${name}</a>`)}</p>`,
  )}`
}

function mailTrouble(t: Texts, { failed, givenUp, waiting, lastError }: Health['mails']): Html {
  return html`${failed + givenUp > 0 && html`<p>${t.alerts.mailsFailed(failed, givenUp, lastError ?? '')}</p>`}${waiting > 0 && html`<p>${t.alerts.mailsWait(waiting)}</p>`}`
}

function askTrouble(t: Texts, { noPublicUrl, noServer, failed, lastError }: Health['asking']): Html {
  const a = t.alerts.unasked
  return html`${noPublicUrl > 0 && html`<p>${a.noPublicUrl(noPublicUrl)}</p>`}${noServer > 0 && html`<p>${a.noServer(noServer)}</p>`}${failed > 0 && html`<p>${a.failed(failed, lastError ?? '')}</p>`}`
}

function reasonsOf(
  t: Texts,
  finding: Finding,
  { capture, mapping, mappingLost, failedBackfills, resyncs, cells }: Status,
): Html[] {
  if (finding.startsWith('capture_'))
    return capture.reason === null ? [] : [original(t, capture.reason, captureText(t, capture.code))]
  if (finding === 'cell_away')
    return cells.flatMap(({ name, why }) => (why === null ? [] : [original(t, `${name}: ${why}`, null)]))
  if (finding === 'mapping_lost')
    return (mappingLost ?? []).map(lost => original(t, lostSentence(lost), lostText(t, lost)))
  if (finding === 'mapping_refused')
    return (mapping?.refused?.problems ?? []).map(problem =>
      original(t, formatProblem(problem), refusalText(t, problem)),
    )
  if (finding === 'fanning_out') return resyncs.flatMap(resync => fanOutLine(t, resync))
  if (finding !== 'backfill_failed') return []
  return failedBackfills.map(({ id, entityType, reason, code }) => {
    const why = describePageReason(reason ?? 'no reason is known', code)
    const translated = pageText(t, code)
    return original(
      t,
      `backfill ${id} of ${entityType}: ${why}`,
      translated && `Backfill ${id} (${entityType}): ${translated}`,
    )
  })
}

/** The progress of sending the entities that show one changed row. */
function fanOutLine(t: Texts, resync: Status['resyncs'][number]): Html[] {
  const { fanOut, rowsDone, rowsEstimate, reason, code } = resync
  if (!fanOut) return []
  const name = `${fanOut.entityType}.${fanOut.field}`
  const of = rowsEstimate === null ? null : number(t, rowsEstimate)
  return [
    html`<p>${t.health.fanOut(name, number(t, rowsDone), of)}</p>${reason !== null && original(t, reason, pageText(t, code))}`,
  ]
}

const kinds = new Map([
  ['streaming', 'good'],
  ['standing by', 'good'],
  ['starting', 'warn'],
  ['lagging', 'warn'],
  ['gap', 'bad'],
  ['blocked', 'bad'],
  ['lost', 'bad'],
])

function figures(t: Texts, { status }: Health): Html {
  const f = t.health.figures
  const { capture, queue, lastEvent } = status
  const lag = lagBytes(status)
  const heldBack = capture.source?.heldBackBytes ?? null
  const isKnown = Object.hasOwn(t.health.states, capture.state)
  const state = isKnown ? t.health.states[capture.state as keyof Texts['health']['states']] : null
  const fact = (name: string, value: Html | string, hint: string) =>
    html`<div><dt>${name}</dt><dd>${value}</dd><dd class="hint">${hint}</dd></div>`
  const unknown = html`<span class="quiet">${t.health.unknown}</span>`
  return html`<dl class="card figures">
${fact(f.capture, html`<span class="badge ${kinds.get(capture.state)}">${state?.word ?? capture.state}</span>`, state?.what ?? '')}
${fact(f.lag, lag === null ? unknown : bytes(t, lag), f.lagHint)}
${fact(f.heldBack, heldBack === null ? unknown : bytes(t, heldBack), f.heldBackHint)}
${fact(f.probe, capture.probeMs === null ? unknown : capture.probeMs >= 60_000 ? duration(t, capture.probeMs) : milliseconds(t, capture.probeMs), f.probeHint)}
${fact(f.lastChange, lastEvent === null ? html`<span class="quiet">${t.health.noChange}</span>` : moment(lastEvent.committedAt, 'distance'), f.lastChangeHint)}
${fact(f.waiting, number(t, Math.round(queue.deliveries)), f.waitingHint(number(t, Math.round(queue.lanes))))}
${fact(f.dead, queue.deadDeliveries >= 10_000 ? `${number(t, 10_000)}+` : number(t, queue.deadDeliveries), f.deadHint)}
</dl>`
}

/** How each cell is, where there is more than main. */
function cells(t: Texts, { status }: Health): Html | false {
  if (status.cells.length < 2) return false
  const { columns } = t.cells
  const figure = (value: number | null, max = Number.POSITIVE_INFINITY) =>
    value === null
      ? html`<span class="quiet">${t.cells.unknown}</span>`
      : `${number(t, value)}${value >= max ? '+' : ''}`
  return html`<section class="cells"><h2>${t.cells.title}</h2><p class="hint">${t.cells.hint}</p>
<div class="card flush"><table class="stacked"><thead><tr><th scope="col">${columns.name}</th><th scope="col">${columns.state}</th><th scope="col" class="number">${columns.webhooks}</th><th scope="col" class="number">${columns.behind}</th></tr></thead>
<tbody>${status.cells.map(
    ({ name, isAway, webhooks, behind }) =>
      html`<tr><th scope="row">${name}</th><td data-label="${columns.state}"><span class="badge ${isAway ? 'bad' : 'good'}">${isAway ? t.cells.away : t.cells.ok}</span></td><td data-label="${columns.webhooks}" class="number">${figure(webhooks)}</td><td data-label="${columns.behind}" class="number">${figure(behind, maxBehind)}</td></tr>`,
  )}</tbody></table></div></section>
`
}

function gaps(t: Texts, { status }: Health): Html | false {
  if (status.gaps.length === 0) return false
  const { columns } = t.health
  return html`<section class="gaps"><h2>${t.health.gaps}</h2><p class="hint">${t.health.gapsHint}</p>
<div class="card flush"><table class="stacked"><thead><tr><th scope="col">${columns.found}</th><th scope="col">${columns.why}</th><th scope="col">${columns.resynced}</th></tr></thead>
<tbody>${status.gaps.map(
    gap =>
      html`<tr><td data-label="${columns.found}">${moment(gap.foundAt)}</td><td data-label="${columns.why}">${original(t, gap.detail, gapText(t, gap))}</td><td data-label="${columns.resynced}">${gap.resyncedAt ? moment(gap.resyncedAt) : html`<span class="badge bad">${t.health.notYet}</span>`}</td></tr>`,
  )}</tbody></table></div></section>`
}
