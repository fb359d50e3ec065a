import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds wrong with a page as it is now: one line for each element. */
export async function findBarriers(page: Page): Promise<string[]> {
  // Run by the debugger's protocol, which the page's Content-Security-Policy does not bind.
  await page.evaluate(source)
  return await page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe is in the page, not here
    const { violations } = await (globalThis as any).axe.run()
    return violations.flatMap(
      (violation: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
        violation.nodes.map(node => `${violation.id}: ${node.html} ${node.failureSummary}`),
    )
  })
}

/** Whether something on the page is wider than it: then one has to move it sideways. */
export async function isTooWide(page: Page): Promise<boolean> {
  return await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
}
