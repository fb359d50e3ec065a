import type { Caller } from '../../control/kit/control.ts'
import type { Alarm } from '../../control/status/alarm.ts'
import { mayAct } from '../../domain/access/role.ts'
import { findings } from '../../domain/shown/findings.ts'
import type { Texts } from '../texts/en.ts'
import { captureText, languages } from '../texts/texts.ts'
import { assetUrl } from './assets.ts'
import { type Html, html, nothing } from './html.ts'
import { original } from './original.ts'
import { type Crumb, type Section, sections } from './page.ts'

/** htmx neither writes styles nor evaluates scripts. Open and selected elements stay so when a part is replaced. */
const htmxConfig = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  morphIgnore: ['data-htmx-powered', 'open', 'aria-current'],
  noSwap: [204, 304, 401, 502, 503, 504],
})

/** The document around every page. */
function document(t: Texts, title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="${t.language.code}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content="${htmxConfig}">
<title>${title} · walhook</title>
<link rel="icon" href="${icon}">
<link rel="stylesheet" href="${assetUrl('walhook.css')}">
<script src="${assetUrl('htmx.js')}" defer></script>
<script src="${assetUrl('walhook.js')}" defer></script>
</head>
${body}
</html>
`
}

const mark = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'><rect width='24' height='24' rx='6' fill='#4f46e5'/><path d='M5 8l2.6 8L12 9l4.4 7L19 8' fill='none' stroke='#fff' stroke-width='2.2' stroke-linecap='round' stroke-linejoin='round'/></svg>`
const icon = `data:image/svg+xml,${encodeURIComponent(mark)}`

/** A page for a signed-in user. `path`, the page's own, is where a choice of language returns to. */
export function layout(
  t: Texts,
  at: {
    section: Section | null
    hasPages: (section: Section) => boolean
    caller: Caller
    path: string
    alarm: Alarm | null
    /** The number of failing or disabled webhooks. */
    unwell: number
    /** Cells that do not answer: lists lack their webhooks. */
    away: readonly string[]
  },
  page: { title: string; of: string | undefined; crumbs: readonly Crumb[]; actions: Html; body: Html },
): Html {
  const heading = page.of === undefined ? page.title : `${page.title}: ${page.of}`
  return document(
    t,
    heading,
    html`<body>
<a class="skip" href="#content">${t.layout.skip}</a>
<div class="frame">
<header class="side">
<a class="brand" href="/">${logo} walhook</a>
${navigation(t, at)}
${account(t, at.caller, at.path)}
</header>
<main id="content" tabindex="-1">
${way(t, at.section, page)}
${banner(t, at)}${missing(t, at)}<div class="heading"><h1>${heading}</h1><div class="actions">${page.actions}</div></div>
<p class="notice stale" id="stale" role="status" hidden>${t.layout.stale}</p>
${page.body}
</main>
</div>
</body>`,
  )
}

/** The problem of capture, with advice. The page Health shows it itself. */
function banner(
  t: Texts,
  { alarm, section }: { alarm: Alarm | null; section: Section | null },
): Html | false {
  if (alarm === null || section === 'health') return false
  const { what, advice } = t.health.findings[alarm.finding]
  return html`<div class="notice ${findings[alarm.finding]}" id="alarm" role="alert"><p><b>${what}</b> <a href="/health">${t.sections.health}</a></p>${
    alarm.reason !== null && original(t, alarm.reason, captureText(t, alarm.code))
  }<p>${advice}</p></div>
`
}

/** Cells that do not answer. A tenant does not see their names. */
function missing(t: Texts, { away, caller }: { away: readonly string[]; caller: Caller }): Html | false {
  if (away.length === 0) return false
  const sentence =
    caller.tenant === null
      ? t.cells.missing(new Intl.ListFormat(t.language.code).format(away))
      : t.cells.missingForTenant
  return html`<p class="notice warn" id="cells-away" role="status">${sentence}</p>
`
}

const logo = html`<svg class="logo" viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="6"/><path d="M5 8l2.6 8L12 9l4.4 7L19 8"/></svg>`

function navigation(
  t: Texts,
  {
    section,
    hasPages,
    caller,
    unwell,
  }: { section: Section | null; hasPages: (section: Section) => boolean; caller: Caller; unwell: number },
): Html {
  const badge = html` <span class="badge warn" title="${t.couplings.shown.badge(unwell)}"><span aria-hidden="true">${unwell}</span><span class="unseen">${t.couplings.shown.badge(unwell)}</span></span>`
  const shown = sections.filter(({ name, role }) => hasPages(name) && mayAct(caller.role, role))
  const groups = [...Map.groupBy(shown, ({ group }) => group)]
  return html`<nav aria-label="${t.layout.navigation}">
${groups.map(
  ([group, sections]) => html`<p class="group">${t.groups[group]}</p>
<ul>${sections.map(
    one =>
      html`<li><a href="${one.path}"${one.name === section && html` aria-current="page"`}>${t.sections[one.name]}${one.name === 'couplings' && unwell > 0 && badge}</a></li>`,
  )}</ul>`,
)}
</nav>`
}

function account(t: Texts, caller: Caller, path: string): Html {
  return html`<div class="account">
<p class="who" title="${t.layout.loggedInAs(caller.name)}"><span class="name">${caller.name}</span> <span class="role">${t.roles[caller.role]}</span></p>
<form method="post" action="/logout"><button class="link">${t.layout.logOut}</button></form>
${caller.kind !== 'link' && html`<form method="post" action="/logout-everywhere"><button class="link">${t.layout.logOutEverywhere}</button></form>`}
${languageForm(t, path)}
</div>`
}

function languageForm(t: Texts, path: string): Html {
  return html`<form method="post" action="/language" class="language" aria-label="${t.language.choose}">
<input type="hidden" name="to" value="${path}">
${Object.values(languages).map(
  ({ language }) =>
    html`<button class="link" name="language" value="${language.code}" lang="${language.code}"${language.code === t.language.code && html` aria-current="true"`}>${language.name}</button>`,
)}
</form>`
}

/** Breadcrumbs: Settings → Integrations → Couplings → … */
function way(t: Texts, section: Section | null, page: { title: string; crumbs: readonly Crumb[] }): Html {
  const found = sections.find(({ name }) => name === section)
  if (!found) return nothing
  const above = [{ text: t.groups.settings }, { text: t.groups[found.group] }]
  const here = { text: t.sections[found.name], href: found.path }
  const isSectionItself = page.crumbs.length === 0 && page.title === here.text
  const steps: Crumb[] = [...above, here, ...page.crumbs, ...(isSectionItself ? [] : [{ text: page.title }])]
  return html`<nav class="way" aria-label="${t.layout.way}"><ol>
${steps.map((step, i) =>
  i === steps.length - 1
    ? html`<li aria-current="page">${step.text}</li>`
    : html`<li>${step.href === undefined ? step.text : html`<a href="${step.href}">${step.text}</a>`}</li>`,
)}
</ol></nav>`
}

/** A page without a session. */
export function bareLayout(t: Texts, page: { title: string; path: string; body: Html }): Html {
  return document(
    t,
    page.title,
    html`<body class="bare">
<main id="content">
<p class="brand">${logo} walhook</p>
${page.body}
</main>
<footer>${languageForm(t, page.path)}</footer>
</body>`,
  )
}
