import type { Role } from '../../domain/access/role.ts'
import type { Attempt, Phase } from '../../domain/delivery/attempt.ts'
import { diagnose } from '../../domain/shown/diagnosis.ts'
import { shownAttempt } from '../../domain/shown/shown.ts'
import { type Html, html } from '../kit/html.ts'
import { original } from '../kit/original.ts'
import type { Texts } from '../texts/en.ts'
import { failureText } from '../texts/failure.ts'
import { milliseconds } from '../texts/figures.ts'
import { outcomeWord } from './attempt-line.ts'
import { shownBody } from './shown-body.ts'

const phases = ['dns', 'connect', 'tls', 'first_byte', 'body'] as const satisfies readonly Phase[]

/** One request in full: outcome, reason, advice, timing, request and response. */
export function attemptView(
  t: Texts,
  made: Attempt & { readonly hasBodies?: boolean; readonly tooLargeBytes?: number },
  role: Role,
): Html {
  const attempt = shownAttempt(made, role)
  const { outcome, response, errorMessage, remoteAddress } = attempt
  const diagnosis = diagnose({ ...attempt, status: response?.status ?? null })
  const { what, advice } = t.diagnoses[diagnosis]
  const kind = outcome === 'delivered' ? 'good' : 'bad'
  return html`<section class="attempt">
<div class="notice ${kind}" role="status"><p><b>${what}</b></p><p>${advice}</p></div>
<dl class="facts">
<div><dt>${t.attempt.status}</dt><dd>${response?.status ?? t.attempt.noResponse}</dd></div>
<div><dt>${t.attempt.outcome}</dt><dd>${outcomeWord(t, attempt)}</dd></div>
<div><dt>${t.attempt.duration}</dt><dd>${milliseconds(t, attempt.durationMs)}</dd></div>
${remoteAddress !== null && html`<div><dt>${t.attempt.address}</dt><dd>${remoteAddress}</dd></div>`}
</dl>
${phaseBar(t, attempt.phases)}
${errorMessage !== null && reasonOf(t, errorMessage)}
<h2>${t.attempt.request}</h2>
<p class="request-line"><code>POST ${attempt.request.url}</code></p>
${headerList(t, attempt.request.headers)}
<pre tabindex="0" aria-label="${t.attempt.requestBody}">${attempt.hasBodies === false ? t.attempt.bodyNotKept : attempt.tooLargeBytes !== undefined ? t.attempt.tooLarge(attempt.tooLargeBytes) : attempt.request.body === '' ? t.attempt.noBody : shownBody(t, attempt.request.body)}</pre>
<h2>${t.attempt.response}</h2>
${
  response
    ? html`<p class="request-line"><code>${response.status}</code></p>${headerList(t, response.headers)}<pre tabindex="0" aria-label="${t.attempt.responseBody}">${attempt.hasBodies === false ? t.attempt.bodyNotKept : response.body === '' ? t.attempt.emptyBody : shownBody(t, response.body)}</pre>${response.truncated && html`<p class="hint">${t.attempt.truncated}</p>`}`
    : html`<p class="quiet">${t.attempt.noResponse}</p>`
}
</section>`
}

/** Why it failed: in the reader's language, or in another program's words. */
function reasonOf(t: Texts, english: string): Html {
  const text = failureText(t, english)
  return text === null ? original(t, english) : html`<p class="quiet">${text}</p>`
}

export function headerList(t: Texts, headers: Readonly<Record<string, string>>): Html {
  const entries = Object.entries(headers)
  return html`<details class="headers"><summary>${t.attempt.headers(entries.length)}</summary><dl>${entries.map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  )}</dl></details>`
}

const width = 600

/** The timing as a bar, without phases that did not happen, as on a reused connection. */
function phaseBar(t: Texts, times: Attempt['phases']): Html {
  const there = phases.flatMap(phase => (times[phase] === undefined ? [] : [{ phase, ms: times[phase] }]))
  const total = there.reduce((sum, { ms }) => sum + ms, 0)
  if (total <= 0) return html``
  let x = 0
  return html`<figure class="phases"><svg viewBox="0 0 ${width} 12" preserveAspectRatio="none" aria-hidden="true">${there.map(
    ({ phase, ms }) => {
      const from = x
      x += (ms / total) * width
      return html`<rect class="${phase}" x="${from.toFixed(1)}" y="0" width="${Math.max(1, x - from - 1).toFixed(1)}" height="12"/>`
    },
  )}</svg>
<figcaption><ul>${there.map(
    ({ phase, ms }) =>
      html`<li><span class="key ${phase}"></span>${t.phases[phase]} <b>${milliseconds(t, ms)}</b></li>`,
  )}</ul></figcaption></figure>`
}
