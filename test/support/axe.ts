import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The usual rules that ask about colours. */
const colourRules = ['color-contrast', 'link-in-text-block']

/** What axe finds wrong with a page as it is now, by all usual rules or by some: one line for each element. */
export async function findBarriers(page: Page, rules: readonly string[] | null = null): Promise<string[]> {
  // Run by the debugger's protocol, which the page's Content-Security-Policy does not bind.
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(source)
  return await page.evaluate(async values => {
    const options = values ? { runOnly: { type: 'rule', values } } : {}
    // biome-ignore lint/suspicious/noExplicitAny: axe is in the page, not here
    const { violations } = await (globalThis as any).axe.run(options)
    return violations.flatMap(
      (violation: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
        violation.nodes.map(node => `${violation.id}: ${node.html} ${node.failureSummary}`),
    )
  }, rules)
}

/** Whether something on the page is wider than it: then one has to move it sideways. */
export async function isTooWide(page: Page): Promise<boolean> {
  return await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
}

type Trial = {
  readonly width: number
  readonly colorScheme: 'light' | 'dark'
  readonly rules: readonly string[] | null
}

/** By all rules at both widths and in both colour schemes; in the dark, a screen differs from one in the light by its colours only. */
const everyViewport: readonly Trial[] = [
  { width: 1280, colorScheme: 'light', rules: null },
  { width: 1280, colorScheme: 'dark', rules: colourRules },
  { width: 360, colorScheme: 'dark', rules: null },
]

/** What is wrong with a page in every viewport, without loading it again. */
export const findInEveryViewport = (page: Page): Promise<string[]> => tryViewports(page, everyViewport)

/** The same for a page that is tried in another language, too: only its texts and their lengths differ. */
export const findInTranslation = (page: Page): Promise<string[]> =>
  tryViewports(page, [
    { width: 1280, colorScheme: 'light', rules: null },
    { width: 360, colorScheme: 'light', rules: [] },
  ])

async function tryViewports(page: Page, viewports: readonly Trial[]): Promise<string[]> {
  const found: string[] = []
  for (const { width, colorScheme, rules } of viewports) {
    await page.setViewportSize({ width, height: 800 })
    // Without motion, a colour is at once what it becomes.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const barriers = rules?.length === 0 ? [] : await findBarriers(page, rules)
    if (await isTooWide(page)) barriers.push('is too wide')
    found.push(...barriers.map(barrier => `${page.url()}, ${colorScheme} and ${width} wide: ${barrier}`))
  }
  return found
}
