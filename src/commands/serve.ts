import { type Opened, openApp } from '../app.ts'
import { type Config, readConfig } from '../config/config.ts'
import { keepHeapSmall } from '../runtime/heap.ts'
import { describeError, type Log, openLog } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'
import { type Command, parseOnce, report, required } from './kit/command.ts'
import { cutOffProblem } from './kit/cut-off.ts'
import { reloadOnHangUp } from './kit/reload.ts'

/** More than the dispatcher's drain and its last settlement. */
const stopWithinMs = 15_000
/** About half a minute in all. */
const maxStarts = 8
const startAgainMs = 1_000

export const serve: Command = {
  usage: `  walhook serve                       run capture, delivery and API (WALHOOK_ROLES chooses);
                                      SIGHUP reloads the mapping file`,
  async run(args, signal) {
    parseOnce({ args })
    const config = required(readConfig(['DATABASE_URL', 'WALHOOK_SECRET_KEY']))
    if (!config) return 1
    const log = openLog(config.logLevel, { entityIds: config.logsEntityIds })
    endWithin(stopWithinMs, signal)
    using reloads = reloadOnHangUp(config, log)
    const opened = await openPatiently(config, log, signal)
    if (!opened.ok) return report(opened.problems)
    keepHeapSmall()
    log.info('walhook.started', { url: opened.app.url ?? undefined, roles: [...config.roles] })
    reloads.begin(opened.app)
    await opened.app.run(signal)
    log.info('walhook.stopped')
    return 0
  },
}

/** Opens the app, again if a database ends a statement meanwhile: its server restarts, or an operator intervened. */
async function openPatiently(config: Config, log: Log, signal: AbortSignal): Promise<Opened> {
  for (let tries = 1; ; tries++)
    try {
      return await openApp(config, log)
    } catch (error) {
      const problem = cutOffProblem(error)
      if (!problem) throw error
      if (tries === maxStarts || signal.aborted) return { ok: false, problems: [problem] }
      log.warn('walhook.start_cut_off', { reason: describeError(error), next_in_ms: tries * startAgainMs })
      await sleep(tries * startAgainMs, signal)
    }
}

/** Ends the process `ms` after `signal`: an answer over a dead link would never come. */
function endWithin(ms: number, signal: AbortSignal): void {
  const end = () => {
    process.stderr.write(
      `walhook: stopped ${ms / 1000} s after the signal: a database did not answer. Nothing is lost: the next start continues from the last commit\n`,
    )
    process.exit(1)
  }
  signal.addEventListener('abort', () => setTimeout(end, ms).unref(), { once: true })
}
