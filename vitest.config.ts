import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { closingLines } from './test/support/reporter.ts'

/** The files that take longest begin first, so that no run ends with one worker that works and others that wait. */
const longest = [
  'test/end-to-end/accounting.pg.test.ts',
  'test/end-to-end/cell-hosts.pg.test.ts',
  'test/ops/systemd.pg.test.ts',
  'test/capture/kills.test.ts',
  'test/ops/container.pg.test.ts',
  'test/admin/day.browser.test.ts',
  'test/tenants/day.browser.test.ts',
  'test/capture/interrupted.test.ts',
  'test/chaos/chaos.test.ts',
  'test/end-to-end/tracing.pg.test.ts',
  'test/capture/huge-row.pg.test.ts',
  'test/end-to-end/cells.pg.test.ts',
  'test/capture/process-traps.test.ts',
  'test/end-to-end/move-kills.pg.test.ts',
  'test/end-to-end/holders.pg.test.ts',
  'test/end-to-end/hosts.pg.test.ts',
  'test/capture/page-ways-out.pg.test.ts',
  'test/capture/backfill-convergence.test.ts',
  'test/serve/resync-command.pg.test.ts',
  'test/capture/lost.test.ts',
  'test/end-to-end/recipes.pg.test.ts',
  'test/delivery/dispatcher.pg.test.ts',
  'test/end-to-end/failover.pg.test.ts',
  'test/serve/lifecycle.test.ts',
  'test/end-to-end/cell-moves.pg.test.ts',
  'test/end-to-end/replay-crash.pg.test.ts',
  'test/delivery/alerts.pg.test.ts',
  'test/end-to-end/crash.pg.test.ts',
  'test/serve/commands.pg.test.ts',
  'test/capture/convergence.test.ts',
  'test/capture/arrivals.pg.test.ts',
  'test/chaos/settle.test.ts',
  'test/serve/settings.pg.test.ts',
  'test/end-to-end/batches.pg.test.ts',
  'test/capture/row-filter.pg.test.ts',
  'test/outbox/copy-log.pg.test.ts',
  'test/capture/ways-out.pg.test.ts',
  'test/capture/timeline.pg.test.ts',
  'test/serve/stalled-link.pg.test.ts',
  'test/serve/connections.pg.test.ts',
  'test/end-to-end/alerts.pg.test.ts',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const known = longest.indexOf(relative(import.meta.dirname, moduleId).replaceAll('\\', '/'))
      return known === -1 ? longest.length : known
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

/** Files that replace modules have a process each: what is replaced stays in its memory. */
const replacesModules = (file: string) =>
  readFileSync(join(import.meta.dirname, file), 'utf8').includes('vi.mock(')
/** Files that keep a core busy, and those with pages, which move under the pointer where a browser gets too little of one. */
const isBusy = (file: string) =>
  file.endsWith('.browser.test.ts') ||
  [
    'test/capture/kills.test.ts',
    'test/end-to-end/accounting.pg.test.ts',
    'test/end-to-end/cell-hosts.pg.test.ts',
    'test/ops/container.pg.test.ts',
    'test/ops/systemd.pg.test.ts',
  ].includes(file)
const files = globSync('test/**/*.test.ts', { cwd: import.meta.dirname })

const eachProject = {
  setupFiles: ['test/support/each-file.ts'],
  pool: 'forks',
  retry: 0,
  // What is waited for has limits of its own; a test of several waits has time for all of them under load.
  testTimeout: 120_000,
  hookTimeout: 120_000,
} satisfies TestProjectInlineConfiguration['test']

/** How many files run at a time; projects of one group run beside each other. Most files wait, for processes and for time-outs that are real. */
const few = { maxWorkers: 3, sequence: { groupOrder: 0 } }
const most = { maxWorkers: 4, sequence: { groupOrder: 1 } }

export default defineConfig({
  test: {
    projects: [
      { test: { ...eachProject, name: 'alone', ...most, include: files.filter(replacesModules) } },
      // A process runs many files, and loads what they share once: more than a second of each file. Without an `exclude`,
      // which would make that of the command line nothing.
      {
        test: {
          ...eachProject,
          name: 'together',
          ...most,
          include: files.filter(file => !replacesModules(file) && !isBusy(file)),
          isolate: false,
        },
      },
      { test: { ...eachProject, name: 'busy', ...few, include: files.filter(isBusy), isolate: false } },
    ],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', closingLines()],
    sequence: { sequencer: LongestFirst },
  },
})
