import { PgBoss } from 'pg-boss'
import { connect } from '../../support/connect.ts'
import { type Contender, sayReady, startWorker, workplace } from './contender.ts'
import { bodySql, createPost } from './post.ts'

const queue = 'deliver'

/**
 * A row trigger that inserts into pg-boss's table of jobs and notifies its workers, and workers that take large batches
 * and settle each job by its own result (https://pgboss.io/api/workers).
 */
export const pgBoss: Contender = {
  name: 'row trigger + pg-boss',
  setup:
    'insert and pg_notify in a row trigger; batchSize 500, localConcurrency 2, perJobResults, burstWhenBatchFull, LISTEN/NOTIFY; no order per entity',
  async prepare(place) {
    const boss = new PgBoss({ connectionString: place.url, useListenNotify: true })
    await boss.start()
    await boss.createQueue(queue, { notify: true, retryLimit: 9, retryBackoff: true })
    await boss.stop({ graceful: false })
    await using psql = await connect(place.url)
    await psql.query(`
      create function enqueue() returns trigger language plpgsql as $$ begin
        insert into pgboss.job (name, data) values ('${queue}', ${bodySql});
        perform pg_notify('pgboss_' || left(encode(sha224('pgboss'::bytea), 'hex'), 24), '${queue}');
        return null;
      end $$;
      create trigger enqueue after insert on users for each row execute function enqueue()`)
  },
  start: place => startWorker(import.meta.filename, place),
}

async function work(): Promise<void> {
  const { url, receiverUrl } = workplace()
  const post = createPost(receiverUrl)
  const boss = new PgBoss({ connectionString: url, useListenNotify: true, max: 10 })
  boss.on('error', () => {})
  await boss.start()
  await boss.work(
    queue,
    {
      batchSize: 500,
      localConcurrency: 2,
      perJobResults: true,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
    },
    async jobs =>
      await Promise.all(
        jobs.map(async job => {
          try {
            await post(JSON.stringify(job.data))
            return { id: job.id, status: 'completed' as const }
          } catch {
            return { id: job.id, status: 'failed' as const }
          }
        }),
      ),
  )
  sayReady()
}

if (import.meta.main) await work()
