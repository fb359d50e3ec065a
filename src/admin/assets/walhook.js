// The one script of the pages. Each part finds its elements by a data attribute; without it everything but the
// live parts works.

const language = document.documentElement.lang

// A page in a frame says so with everything that a script asks for: its session is not the one of the browser's tabs.

const isFramed = window.self !== window.top
const framed = isFramed ? { 'walhook-frame': 'true' } : {}
if (isFramed)
  document.addEventListener('htmx:config:request', ({ detail }) => {
    Object.assign(detail.ctx.request.headers, framed)
  })

// <time datetime data-as>: written in the reader's zone and the page's language, as in the reader's country; the exact moment as its title.

const locale = navigator.languages.find(name => name.split('-')[0] === language) ?? language
const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'long' })
const formats = {
  date: new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }),
  second: new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }),
  clock: new Intl.DateTimeFormat(locale, { timeStyle: 'medium' }),
  hour: new Intl.DateTimeFormat(locale, { timeStyle: 'short' }),
  weekday: new Intl.DateTimeFormat(locale, { weekday: 'short', hour: 'numeric', minute: '2-digit' }),
  dayname: new Intl.DateTimeFormat(locale, { weekday: 'short' }),
  day: new Intl.DateTimeFormat(locale, {
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
  }),
}
const distance = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
]

function distanceTo(at) {
  const seconds = (at - Date.now()) / 1000
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units.at(-1)
  return distance.format(Math.trunc(seconds / length), unit)
}

// Today without its date.
const near = at => (at.toDateString() === new Date().toDateString() ? formats.clock : formats.day).format(at)

function writeTimes(root) {
  for (const element of root.querySelectorAll('time[datetime]')) {
    const at = new Date(element.dateTime)
    const as = element.dataset.as ?? 'date'
    const text = as === 'distance' ? distanceTo(at) : as === 'near' ? near(at) : formats[as].format(at)
    if (element.textContent !== text) element.textContent = text
    if (!element.title) element.title = exact.format(at)
  }
}

writeTimes(document)
setInterval(() => writeTimes(document), 10_000)
new MutationObserver(() => writeTimes(document)).observe(document.body, {
  childList: true,
  subtree: true,
  characterData: true,
})

// <form data-send-at-once>: sent when the page is there.

document.querySelector('form[data-send-at-once]')?.submit()

// <… data-live="address">: its content follows what happens, by server-sent events, or by asking again and again
// where they don't come.

const askEveryMs = 5_000

for (const element of document.querySelectorAll('[data-live]')) follow(element)

function follow(element) {
  const address = element.dataset.live
  let failures = 0
  const put = async text => {
    failures = 0
    stale(false)
    if (text !== '')
      await window.htmx.swap({ sourceElement: element, target: element, text, swap: 'innerMorph' })
  }
  const events = new EventSource(isFramed ? inFrame(address) : address)
  events.addEventListener('message', event => put(event.data))
  events.addEventListener('error', () => {
    failures++
    stale(true)
    if (failures < 3 && events.readyState !== EventSource.CLOSED) return
    events.close()
    setInterval(ask, askEveryMs)
  })
  async function ask() {
    try {
      const response = await fetch(address, {
        headers: { accept: 'text/html', 'hx-request': 'true', ...framed },
      })
      const to = response.headers.get('hx-redirect')
      if (to !== null) location.assign(to)
      else if (response.ok) await put(await response.text())
      else stale(true)
    } catch {
      stale(true)
    }
  }
}

/** An event stream has no headers of its own. */
function inFrame(address) {
  const url = new URL(address, location.href)
  url.searchParams.set('walhook-frame', 'true')
  return url.href
}

function stale(isStale) {
  const note = document.getElementById('stale')
  if (note) note.hidden = !isStale
}

// <div data-split>: a list, and what is opened of it. A link of the list (data-open="address") opens what it leads to beside it;
// the arrow keys go from one to the next.

const openSoonMs = 120

for (const { children } of document.querySelectorAll('[data-split]')) choose(children[0], children[1])

function choose(list, target) {
  const links = () => [...list.querySelectorAll('[data-open]')]
  let asked = null
  async function open(link) {
    asked = link.dataset.open
    const response = await fetch(asked, {
      headers: { accept: 'text/html', 'hx-request': 'true', 'hx-request-type': 'partial', ...framed },
    })
    const to = response.headers.get('hx-redirect')
    if (to !== null) return location.assign(to)
    const text = await response.text()
    // Somebody was faster.
    if (asked !== link.dataset.open) return
    for (const other of links()) other.removeAttribute('aria-current')
    link.setAttribute('aria-current', 'true')
    const wasOpen = !target.hidden
    target.hidden = false
    await window.htmx.swap({ sourceElement: target, target, text, swap: 'innerHTML' })
    for (const button of target.querySelectorAll('[data-copy][hidden]')) button.hidden = false
    const close = target.querySelector('.close')
    if (close) close.href = target.dataset.back
    target.scrollTop = 0
    history[wasOpen ? 'replaceState' : 'pushState'](null, '', link.href)
    // Where there is no room for both, the list is away.
    if (!link.checkVisibility()) {
      target.focus()
      target.scrollIntoView()
    }
  }
  list.addEventListener('click', event => {
    const link = event.target.closest('[data-open]')
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
    event.preventDefault()
    void open(link)
  })
  let soon
  list.addEventListener('keydown', event => {
    const all = links()
    const at = all.indexOf(document.activeElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key]
    if (at < 0 || to === undefined || !all[to] || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    all[to].focus()
    clearTimeout(soon)
    soon = setTimeout(() => void open(all[to]), openSoonMs)
  })
}

addEventListener('popstate', () => location.reload())

// <button data-copy="id">: copies the text of another element.

document.addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]')
  if (!button) return
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
  const before = button.textContent
  button.textContent = button.dataset.copied
  setTimeout(() => {
    button.textContent = before
  }, 2_000)
})

for (const button of document.querySelectorAll('[data-copy][hidden]')) button.hidden = false

// <… data-address="path">: this page was the answer to a form. Loaded again it would be sent again, so its address
// becomes that of the thing that was made.

const made = document.querySelector('[data-address]')
if (made) history.replaceState(null, '', made.dataset.address)

// <table data-grid>: "all" of a row or column follows its boxes, and they follow it.

for (const grid of document.querySelectorAll('[data-grid]')) {
  const boxes = [...grid.querySelectorAll('input[name=trigger]')]
  const alls = [...grid.querySelectorAll('input[name=all]')]
  const boxesOf = all => boxes.filter(box => `.${box.value}.`.includes(`.${all.value.replace(/^\./, '')}.`))
  const show = () => {
    for (const all of alls) {
      const its = boxesOf(all)
      all.checked = its.every(box => box.checked)
      all.indeterminate = !all.checked && its.some(box => box.checked)
    }
  }
  // In the capturing phase: who else hears of the change finds the boxes as they will be.
  grid.addEventListener(
    'change',
    ({ target }) => {
      if (target.name === 'all') for (const box of boxesOf(target)) box.checked = target.checked
      show()
    },
    true,
  )
  show()
}

// <input data-utc>: a moment that the address has in UTC is shown and filled in in the reader's own zone.

for (const input of document.querySelectorAll('input[data-utc]')) {
  const sent = document.createElement('input')
  sent.type = 'hidden'
  sent.name = input.name
  sent.value = input.value
  input.removeAttribute('name')
  input.after(sent)
  input.labels[0].querySelector('[data-zone]').remove()
  const two = number => String(number).padStart(2, '0')
  const at = new Date(`${input.value}Z`)
  if (!Number.isNaN(at.getTime()))
    input.value = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`
  input.addEventListener('change', () => {
    sent.value = input.value === '' ? '' : new Date(input.value).toISOString().slice(0, 16)
  })
}

// A field with an error (aria-invalid; its text is in the element FIELD-problem): the error goes when the field is mended. What the browser can
// decide (data-local) goes while one types; a form with data-validate="address" asks there what is left.

const validateSoonMs = 150

/** The id that links of the summary lead to; fields of one group share it. */
const errorOf = field =>
  field
    .getAttribute('aria-describedby')
    ?.split(' ')
    .find(id => id.endsWith('-problem'))
    ?.replace(/-problem$/, '')

const linksTo = (root, id) => [...root.querySelectorAll('#errors a')].filter(a => a.hash === `#${id}`)

function mend(form, id) {
  const focused = document.activeElement
  for (const field of form.querySelectorAll(`[aria-describedby~="${id}-problem"]`))
    field.removeAttribute('aria-invalid')
  for (const text of document.querySelectorAll(`[id="${id}-problem"] .problem`)) text.remove()
  for (const link of linksTo(document, id)) link.closest('li').remove()
  const summary = document.getElementById('errors')
  if (!summary || summary.querySelector('li')) return
  // What is read next stays where it was.
  if (summary.contains(focused)) document.getElementById(id)?.focus()
  summary.remove()
}

document.addEventListener('input', ({ target }) => {
  const isWrong = target.getAttribute?.('aria-invalid') === 'true' && 'local' in target.dataset
  if (isWrong && target.form && target.validity.valid && (target.type !== 'checkbox' || target.checked))
    mend(target.form, errorOf(target))
})

let validateSoon
let asks = 0
document.addEventListener('change', ({ target }) => {
  const form = target.form
  if (!form?.dataset.validate || !document.getElementById('errors')) return
  clearTimeout(validateSoon)
  validateSoon = setTimeout(() => void validate(form), validateSoonMs)
})

async function validate(form) {
  const asked = ++asks
  const response = await fetch(form.dataset.validate, {
    method: 'POST',
    headers: { accept: 'text/html', 'hx-request': 'true', 'hx-request-type': 'partial', ...framed },
    body: new URLSearchParams(new FormData(form)),
  })
  if (!response.ok || asked !== asks) return
  const answer = new DOMParser().parseFromString(await response.text(), 'text/html')
  if (!answer.querySelector('[data-validated]')) return
  for (const id of new Set([...document.querySelectorAll('#errors a')].map(a => a.hash.slice(1)))) {
    const left = linksTo(answer, id).map(a => a.textContent)
    if (left.length === 0) mend(form, id)
    else
      linksTo(document, id).forEach((link, i) => {
        link.textContent = left[i] ?? left[0]
      })
    const texts = document.querySelectorAll(`[id="${id}-problem"] .problem`)
    texts.forEach((text, i) => {
      text.textContent = left[i] ?? left[0]
    })
  }
}

// Without a script the reader is led there too, and the focus at the next key.
document.addEventListener('click', event => {
  const field = document.getElementById(event.target.closest?.('#errors a')?.hash.slice(1) ?? '')
  if (!field) return
  event.preventDefault()
  const around = field.closest('details')
  if (around) around.open = true
  field.focus()
})

// <… data-verdict="field">: the latest check of the field says whether it is wrong.

for (const verdict of document.querySelectorAll('[data-verdict]'))
  new MutationObserver(() => {
    const field = document.getElementById(verdict.dataset.verdict)
    if (verdict.querySelector('.problem')) field.setAttribute('aria-invalid', 'true')
    else field.removeAttribute('aria-invalid')
  }).observe(verdict, { childList: true })

document.querySelector('#errors[autofocus]')?.focus()

// A button that is disabled during its request loses the focus. It gets it back, unless the reader has moved on.

document.addEventListener('htmx:before:request', ({ detail: { ctx } }) => {
  ctx.hadFocus = ctx.sourceElement === document.activeElement
})
document.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => {
  setTimeout(() => {
    if (ctx.hadFocus && document.activeElement === document.body)
      ctx.sourceElement.focus({ preventScroll: true })
  })
})
