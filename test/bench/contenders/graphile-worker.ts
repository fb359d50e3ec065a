import { run } from 'graphile-worker'
import { connect } from '../../support/connect.ts'
import { type Contender, sayReady, startWorker, workplace } from './contender.ts'
import { bodySql, createPost } from './post.ts'

/**
 * A row trigger that adds a job with `graphile_worker.add_job`, and a worker with its local queue and its batched
 * completion, as https://worker.graphile.org/docs/performance recommends for many short jobs. Jobs are not put into a
 * queue per entity, which would keep their order at some more cost.
 */
export const graphileWorker: Contender = {
  name: 'row trigger + graphile-worker',
  setup:
    'add_job in a row trigger; concurrentJobs 100, localQueue 500, completeJobBatchDelay 0; no order per entity',
  async prepare(place) {
    const { runMigrations } = await import('graphile-worker')
    await runMigrations({ connectionString: place.url })
    await using psql = await connect(place.url)
    await psql.query(`
      create function enqueue() returns trigger language plpgsql as $$ begin
        perform graphile_worker.add_job('deliver', ${bodySql});
        return null;
      end $$;
      create trigger enqueue after insert on users for each row execute function enqueue()`)
  },
  start: place => startWorker(import.meta.filename, place),
}

async function work(): Promise<void> {
  const { url, receiverUrl } = workplace()
  const post = createPost(receiverUrl)
  await run({
    connectionString: url,
    noHandleSignals: true,
    taskList: { deliver: async payload => await post(JSON.stringify(payload)) },
    preset: {
      worker: {
        concurrentJobs: 100,
        maxPoolSize: 20,
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
        logger: await quietLogger(),
      },
    },
  })
  sayReady()
}

async function quietLogger() {
  const { Logger } = await import('graphile-worker')
  return new Logger(() => () => {})
}

if (import.meta.main) await work()
