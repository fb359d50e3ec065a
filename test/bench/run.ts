import { writeFile } from 'node:fs/promises'
import { measureApplication } from './application.ts'
import { graphileWorker } from './contenders/graphile-worker.ts'
import { pgBoss } from './contenders/pg-boss.ts'
import { transactionalOutbox } from './contenders/pg-transactional-outbox.ts'
import { walhook } from './contenders/walhook.ts'
import { compareLatency } from './latency.ts'
import { measureLimits } from './limits.ts'
import { measureShapes } from './shapes.ts'
import { openStage, type Stage, serverSettings } from './stage.ts'
import { measureThroughput } from './throughput.ts'

/**
 * `npm run bench [section …]`: what it costs from a commit to a webhook, against the limit in the same run and against
 * what one would use instead. It brings its own Postgres and receiver, everything on loopback, and takes about a quarter
 * of an hour. Prints tables; with BENCH_JSON=file also writes the figures there.
 */
const alternatives = [graphileWorker, pgBoss, transactionalOutbox]

const sections: Record<string, (stage: Stage) => Promise<{ text: string; rows: unknown }>> = {
  limits: measureLimits,
  throughput: stage => measureThroughput(stage, alternatives),
  latency: stage =>
    compareLatency(stage, [
      [walhook, [100, 500, 1_000]],
      [graphileWorker, [500]],
      [pgBoss, [500]],
      [transactionalOutbox, [500]],
    ]),
  application: stage => measureApplication(stage, [walhook, ...alternatives]),
  shapes: measureShapes,
}

const say = (line: string) => process.stdout.write(`${line}\n`)
const wanted = process.argv.slice(2)
const unknown = wanted.find(name => !Object.hasOwn(sections, name))
if (unknown !== undefined) {
  say(`There is no section ${unknown}. There are: ${Object.keys(sections).join(', ')}.`)
  process.exit(2)
}
const figures: Record<string, unknown> = {}
{
  await using stage = await openStage()
  const settings = Object.entries(serverSettings).map(([name, value]) => `${name} = ${value}`)
  say(stage.description)
  say(`${settings.join(', ')}; everything on one machine; the writers' commits are not waited for\n`)
  figures.machine = stage.description
  for (const name of wanted.length > 0 ? wanted : Object.keys(sections)) {
    const startMs = performance.now()
    const { text, rows } = await sections[name]!(stage)
    figures[name] = rows
    say(`### ${name} (${Math.round((performance.now() - startMs) / 1_000)} s)\n\n${text}\n`)
  }
}
if (process.env.BENCH_JSON) await writeFile(process.env.BENCH_JSON, `${JSON.stringify(figures, null, 2)}\n`)
