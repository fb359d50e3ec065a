import { prettyJson } from '../domain/value/pretty-json.ts'
import type { Received } from './received.ts'

const maxShownBytes = 64 * 1024

/** The page of received requests, newest first, with its policy. */
export function renderPage(options: { received: readonly Received[]; run: string; nonce: string }): {
  html: string
  contentSecurityPolicy: string
} {
  const { received, run, nonce } = options
  const last = received.at(-1)?.number ?? 0
  const contentSecurityPolicy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    `connect-src 'self'`,
    `img-src data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ')
  const html = `<!doctype html>
<html lang="en" data-run="${escapeHtml(run)}" data-last="${last}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Webhooks received</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${style}</style>
</head>
<body>
<header>
<h1>Webhooks received</h1>
<p id="state" role="status">Reload the page for what came since.</p>
</header>
<main>
<p id="empty"${last > 0 ? ' hidden' : ''}>Nothing yet. Send a POST to any path of this address.</p>
<ol id="items">
${received.map(renderItem).reverse().join('\n')}
</ol>
</main>
<script nonce="${nonce}">${script}</script>
</body>
</html>
`
  return { html, contentSecurityPolicy }
}

/** One received request as a list item. Received text is never markup. */
export function renderItem(one: Received): string {
  const action = ['new', 'update', 'delete', 'test'].find(known => known === one.actionType) ?? 'other'
  const entity = [one.entityType, one.entityId].filter(part => part !== null).join(' ')
  return `<li>
<div class="line">
<span class="action ${action}">${escapeHtml(one.actionType ?? 'no action type')}</span>
<strong>${escapeHtml(entity || 'no entity')}</strong>
<time datetime="${one.receivedAt.toISOString()}">${escapeHtml(clockTime(one.receivedAt))}</time>
</div>
<div class="line">
${renderSignature(one)}
${one.earlierArrivals > 0 ? `<span class="mark again">seen before: attempt again, arrival ${one.earlierArrivals + 1}</span>` : ''}
<span class="id">${escapeHtml(one.webhookId ?? 'no webhook-id')}</span>
</div>
<details>
<summary>${escapeHtml(preview(one.body))}</summary>
<pre>${escapeHtml(prettyBody(one.body))}</pre>
<p>POST ${escapeHtml(one.path)}, answered ${one.answeredStatus}</p>
<dl>${Object.entries(one.headers)
    .map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`)
    .join('')}</dl>
</details>
</li>`
}

function renderSignature({ signature }: Received): string {
  switch (signature.state) {
    case 'valid':
      return '<span class="mark valid">✓ signature valid</span>'
    case 'wrong':
      return `<span class="mark wrong">✗ signature wrong: ${escapeHtml(signature.reason)}</span>`
    case 'unchecked':
      return `<span class="mark">signature not checked: ${escapeHtml(signature.reason)}</span>`
  }
}

function clockTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

/** The beginning of the body, unless the item shows it already. */
function preview(body: string): string {
  const from = Math.max(0, body.indexOf('"result"'))
  return body.slice(from, from + 200) || '(empty body)'
}

function prettyBody(body: string): string {
  if (body === '') return '(empty)'
  if (body.length <= maxShownBytes) return prettyJson(body)
  return `${body.slice(0, maxShownBytes)}\n… and ${body.length - maxShownBytes} more characters`
}

const style = `
:root {
  --page: #f5f6f8; --card: #ffffff; --text: #1b2430; --quiet: #5a6675; --line: #d9dee5; --code: #f0f2f5;
  --green: #14703c; --blue: #1f5fb0; --red: #b3261e; --violet: #6b3fa0; --amber: #7f5200;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b212a; --text: #e4e8ee; --quiet: #9aa6b5; --line: #313a46; --code: #141920;
    --green: #6fd39a; --blue: #86b8f7; --red: #ff9a91; --violet: #c6a4f2; --amber: #efc06a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 56rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; margin-bottom: 1rem; }
h1 { margin: 0; font-size: 1.35rem; }
#state { margin: 0; color: var(--quiet); font-size: .9rem; }
#state.live { color: var(--green); }
#empty { padding: 2rem 1rem; border: 1px dashed var(--line); border-radius: .5rem; color: var(--quiet); }
#items { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem; }
#items > li {
  min-width: 0; padding: .7rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
}
.line { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .6rem; }
.line strong { overflow-wrap: anywhere; }
.action {
  padding: 0 .5rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .85rem;
  color: var(--quiet); overflow-wrap: anywhere;
}
.action.new { color: var(--green); }
.action.update { color: var(--blue); }
.action.delete { color: var(--red); }
.action.test { color: var(--violet); }
time { margin-left: auto; color: var(--quiet); font-size: .9rem; font-variant-numeric: tabular-nums; }
.mark { color: var(--quiet); font-size: .9rem; }
.mark.valid { color: var(--green); }
.mark.wrong { color: var(--red); font-weight: 600; }
.mark.again { color: var(--amber); }
.id { color: var(--quiet); font: .8rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin-top: .2rem; font-size: .9rem; }
details p { margin: .5rem 0; color: var(--quiet); overflow-wrap: anywhere; }
summary {
  overflow: hidden; color: var(--quiet); cursor: pointer; font: .8rem/1.6 ui-monospace, monospace;
  text-overflow: ellipsis; white-space: nowrap;
}
summary:hover { color: var(--text); }
pre {
  margin: .4rem 0; padding: .7rem; max-height: 32rem; overflow: auto; background: var(--code);
  border-radius: .4rem; font: .8rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
}
dl { margin: 0; font: .8rem/1.5 ui-monospace, monospace; }
dl div { display: flex; flex-wrap: wrap; gap: 0 .6rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
`

const script = `
const { run, last } = document.documentElement.dataset
const items = document.getElementById('items')
const state = document.getElementById('state')
function show(text, isLive) {
  state.textContent = text
  state.classList.toggle('live', isLive)
}
const events = new EventSource('/events?after=' + last)
events.addEventListener('open', () => show('live', true))
events.addEventListener('error', () => show('not connected; what came in stays here', false))
// Another run of the receiver numbers from 1 again: the page restarts with it.
events.addEventListener('run', event => { if (event.data !== run) location.reload() })
events.addEventListener('message', event => {
  document.getElementById('empty').hidden = true
  items.insertAdjacentHTML('afterbegin', JSON.parse(event.data))
  while (items.children.length > 200) items.lastElementChild.remove()
})
`
