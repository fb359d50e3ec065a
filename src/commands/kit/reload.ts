import type { App } from '../../app.ts'
import type { Config } from '../../config/config.ts'
import { defaultFile, readMapping } from '../../config/read-mapping.ts'
import { formatProblem, type Problem } from '../../domain/value/problem.ts'
import { describeError, type Log } from '../../runtime/log.ts'

/**
 * Reloads the mapping file at each SIGHUP, one after the other, and once for several meanwhile. A SIGHUP before `begin` waits
 * for it.
 */
export function reloadOnHangUp(config: Config, log: Log) {
  let app: App | null = null
  let isWanted = false
  let isBusy = false

  async function work() {
    if (!app || isBusy) return
    isBusy = true
    while (isWanted) {
      isWanted = false
      await reloadMapping(app, config, log).catch(error =>
        log.error('mapping.reload_failed', { reason: describeError(error), note: goesOn }),
      )
    }
    isBusy = false
  }

  const onHangUp = () => {
    isWanted = true
    void work()
  }
  process.on('SIGHUP', onHangUp)
  return {
    begin(opened: App) {
      app = opened
      void work()
    },
    [Symbol.dispose]: () => void process.off('SIGHUP', onHangUp),
  }
}

const goesOn = 'the previous mapping stays in effect'

async function reloadMapping({ mapping }: App, config: Config, log: Log): Promise<void> {
  const file = config.mappingFile ?? defaultFile
  const problems: Problem[] = []
  const read = readMapping(file, problems)
  const outcome = problems.length > 0 ? mapping.refuse(problems) : await mapping.reload(read)
  if (outcome === 'taken')
    log.info('mapping.reloaded', { file, entities: read.map(({ entityType }) => entityType) })
  else if (outcome === 'unchanged') log.info('mapping.unchanged', { file })
  else {
    const reasons = (mapping.state().refused?.problems ?? []).map(formatProblem)
    log.error('mapping.refused', { file, reasons, note: goesOn })
  }
}
