import { readFileSync } from 'node:fs'
import type { Problem } from '../../domain/value/problem.ts'
import type { Texts } from '../texts/en.ts'
import { type Html, html } from './html.ts'

/** How to verify a request in one language. */
export type Snippet = {
  /** The language of its code block: `js`. */
  readonly language: string
  /** Its heading. */
  readonly title: string
  readonly code: string
  /** The code that calls it, with `whsec_…` as the secret. */
  readonly call: string
}

const placeholder = 'whsec_…'

/**
 * Extracts the snippets of docs/guide/receiving.md, in order: under each heading the block with the function, then the one
 * that calls it. Null if a heading has anything else.
 */
export function parseSnippets(markdown: string): Snippet[] | null {
  const sections = markdown.split(/^## /m).filter(section => section.includes('\n```'))
  const snippets = sections.flatMap(section => {
    const [[, language, code] = [], [, other, call] = [], ...more] =
      section.matchAll(/^```(\w+)\n(.*?)\n?^```$/gms)
    if (!language || !code || language !== other || !call?.includes(placeholder) || more.length > 0) return []
    return [{ language, title: section.slice(0, section.indexOf('\n')).trim(), code, call }]
  })
  return snippets.length > 0 && snippets.length === sections.length ? snippets : null
}

const document = new URL('../../../docs/guide/receiving.md', import.meta.url)

/** Reads the snippets from the document, where they are tested. */
export function readSnippets(
  from: URL = document,
): { readonly ok: true; readonly snippets: readonly Snippet[] } | { readonly ok: false; problem: Problem } {
  const problem = (found: string, mend: string) => ({
    ok: false as const,
    problem: {
      code: 'guide' as const,
      what: 'docs/guide/receiving.md',
      found: `${found}; the pages show its code`,
      mend,
    },
  })
  let markdown: string
  try {
    markdown = readFileSync(from, 'utf8')
  } catch (error) {
    return problem(
      `can't be read (${(error as NodeJS.ErrnoException).code})`,
      'install walhook with its folder docs, beside src',
    )
  }
  const snippets = parseSnippets(markdown)
  if (snippets === null)
    return problem(
      'has a section whose blocks are not a function and a call of it with whsec_…',
      'bring back the file of this version of walhook',
    )
  return { ok: true, snippets }
}

/** Each language, the first one open; `secret`: for the calls, or null. */
export function snippetParts(t: Texts, snippets: readonly Snippet[], secret: string | null): Html {
  const copy = (id: string) =>
    html`<button type="button" data-copy="${id}" data-copied="${t.created.copied}" hidden>${t.created.copy}</button>`
  return html`${snippets.map(({ language, title, code, call }, i) => {
    const text = secret === null ? call : call.replace(placeholder, () => secret)
    return html`<details class="preview snippet" name="snippets"${i === 0 && html` open`}><summary>${title}</summary>
<div class="copied"><pre tabindex="0" id="code-${language}" aria-label="${t.secret.codeIn(title)}">${code}</pre>${copy(`code-${language}`)}</div>
<div class="copied"><pre tabindex="0" id="call-${language}" aria-label="${t.secret.callIn(title)}">${text}</pre>${copy(`call-${language}`)}</div>
</details>`
  })}`
}
