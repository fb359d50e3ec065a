import { relative } from 'node:path'
import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node'

export type Totals = {
  readonly passed: number
  readonly failed: number
  /** One line for each test that did not run, with its reason. */
  readonly skipped: readonly string[]
  /** How many more did not run because the command line chose others. */
  readonly unselected: number
}

/**
 * A vitest reporter for the end of the run: each skipped test with its reason, the Postgres that was used, and
 * as the very last line `N passed, N failed, N skipped`. All that makes a run fail counts as failed.
 */
export function closingLines(): Reporter {
  let vitest: Vitest
  let totals: Totals = { passed: 0, failed: 0, skipped: [], unselected: 0 }
  let postgres: string | null | undefined
  return {
    onInit(started) {
      vitest = started
      // Only at exit has everybody else said what they had to say, teardown included.
      process.once('exit', code => process.stdout.write(closingText(totals, postgres, code)))
    },
    onTestRunEnd(modules, unhandledErrors) {
      totals = count(modules, unhandledErrors.length, vitest.config.root)
      const provided = vitest.projects[0]?.getProvidedContext().postgres
      postgres = provided === null ? null : provided?.description
    },
  }
}

/**
 * The closing lines; with an exit code other than 0 there is always at least one failure.
 *
 * @param postgres which server it was; null if none was needed, undefined if the run ended before one could be told
 */
export function closingText(
  { passed, failed, skipped, unselected }: Totals,
  postgres: string | null | undefined,
  exitCode: number,
): string {
  const lines = [
    ...skipped.map(line => `skipped: ${line}`),
    ...(unselected > 0 ? [`skipped: ${unselected} that --testNamePattern does not name`] : []),
    `Postgres: ${postgres === null ? 'not needed by these tests' : (postgres ?? 'none, the run ended early')}`,
    `${passed} passed, ${exitCode === 0 ? failed : Math.max(failed, 1)} failed, ${skipped.length + unselected} skipped`,
  ]
  return `${lines.join('\n')}\n`
}

/** Failed tests, files and suites that broke outside of a test, and errors that nobody caught all count. */
function count(modules: readonly TestModule[], unhandledErrors: number, root: string): Totals {
  const skipped: string[] = []
  let passed = 0
  let failed = unhandledErrors
  let unselected = 0
  for (const module of modules) {
    if (module.errors().length > 0) failed++
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) failed++
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') passed++
      else if (state !== 'skipped') failed++
      else if (isUnselected(test)) unselected++
      else skipped.push(`${relative(root, module.moduleId)} > ${test.fullName}: ${why(test)}`)
    }
  }
  return { passed, failed, skipped, unselected }
}

function why(test: TestCase): string {
  const result = test.result()
  if (result.state === 'skipped' && result.note) return result.note
  if (test.options.mode === 'todo') return 'still to be written'
  return test.options.mode === 'skip'
    ? 'switched off in the file, which gives no reason'
    : 'what it stands on failed'
}

function isUnselected(test: TestCase): boolean {
  const selected = test.project.config.testNamePattern
  return selected !== undefined && !selected.test(test.fullName)
}
