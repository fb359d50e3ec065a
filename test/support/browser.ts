import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, test } from 'vitest'
import { until } from './wait.ts'

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser']
const found = paths.find(path => existsSync(path))

/** Whether there is a browser here. */
export const hasBrowser = found !== undefined

/**
 * A test that needs a browser: where there is none, it is skipped, and the closing lines say why. It visits many pages, and has time
 * for them on a machine that is busy.
 */
export function browserTest(name: string, run: () => Promise<void>): void {
  test(name, { timeout: 400_000 }, async ({ skip }) => {
    if (!hasBrowser) skip(`there is no Chromium at ${paths.join(' or ')}`)
    await run()
  })
}

export type Viewport = { readonly width: number; readonly colorScheme: 'light' | 'dark' }
/** Every way in which a page must look right. */
export const viewports: readonly Viewport[] = [
  { width: 1280, colorScheme: 'light' },
  { width: 1280, colorScheme: 'dark' },
  { width: 360, colorScheme: 'light' },
  { width: 360, colorScheme: 'dark' },
]

/** Starts Chromium, or rejects where there is none. */
export async function openBrowser(): Promise<Browser> {
  if (!found) throw new Error(`There is no Chromium at ${paths.join(' or ')}`)
  const args = [
    // Containers of CI run as root and have little shared memory.
    ...['--no-sandbox', '--disable-dev-shm-usage'],
    // Without a process that emulates a GPU, and without a spare process for the next page: a third of a page's CPU.
    ...['--disable-gpu', '--in-process-gpu', '--renderer-process-limit=1'],
  ]
  return await chromium.launch({ executablePath: found, args })
}

/** The browser of this process, which ends with it: to start one takes longer than most tests. */
let shared: Promise<Browser> | null = null

/** Contexts for the tests of a file, closed at its end. */
export function useBrowser(): {
  open(options?: Parameters<Browser['newContext']>[0]): Promise<{ context: BrowserContext; page: Page }>
} {
  const contexts: BrowserContext[] = []
  afterAll(async () => {
    for (const context of contexts) await context.close()
  })
  return {
    async open(options = {}) {
      shared ??= openBrowser()
      const context = await (await shared).newContext({
        locale: 'en-GB',
        timezoneId: 'Europe/Amsterdam',
        ...options,
      })
      contexts.push(context)
      const page = await context.newPage()
      page.setDefaultTimeout(60_000)
      return { context, page }
    },
  }
}

/** Without a script a page follows nothing: whoever looks loads it again. */
export async function reloadUntil(page: Page, isThere: () => Promise<boolean>, what: string): Promise<void> {
  await until(
    async () => {
      await page.reload()
      return await isThere()
    },
    { what },
  )
}
