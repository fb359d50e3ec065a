import {
  createReplicationSemaphoreConcurrencyController,
  DatabaseSetup,
  getDisabledLogger,
  initializeReplicationMessageListener,
} from 'pg-transactional-outbox'
import { connect } from '../../support/connect.ts'
import { type Contender, sayReady, startWorker, workplace } from './contender.ts'
import { bodySql, createPost } from './post.ts'

/**
 * An outbox table that a row trigger fills, and the package's own listener on the write-ahead log, with as many messages
 * at once as the others. Its protections, which cost more statements per message, are off, as its README has them for
 * an outbox.
 */
export const transactionalOutbox: Contender = {
  name: 'row trigger + pg-transactional-outbox',
  setup:
    'outbox row in a row trigger; replication listener, semaphore of 100, protections off; no order per entity',
  async prepare(place) {
    await using psql = await connect(place.url)
    const role = (await psql.query('select current_user as role')).rows[0].role
    const config = {
      outboxOrInbox: 'outbox' as const,
      database: place.name,
      schema: 'public',
      table: 'outbox',
      listenerRole: role,
      publication: 'outbox',
      replicationSlot: `${place.name}_outbox`,
    }
    await psql.query(DatabaseSetup.dropAndCreateTable(config))
    await psql.query(`create publication outbox for table outbox with (publish = 'insert')`)
    await psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [config.replicationSlot])
    await psql.query(`
      create function enqueue() returns trigger language plpgsql as $$ begin
        insert into outbox (id, aggregate_type, aggregate_id, message_type, concurrency, payload)
        values (gen_random_uuid(), 'user', new.id, 'new', 'parallel', ${bodySql});
        return null;
      end $$;
      create trigger enqueue after insert on users for each row execute function enqueue()`)
  },
  start: place => startWorker(import.meta.filename, place),
}

async function work(): Promise<void> {
  const { url, receiverUrl } = workplace()
  const post = createPost(receiverUrl)
  const { username, password, hostname, port, pathname } = new URL(url)
  const database = pathname.slice(1)
  initializeReplicationMessageListener(
    {
      outboxOrInbox: 'outbox',
      dbListenerConfig: { user: username, password, host: hostname, port: Number(port), database },
      settings: {
        dbSchema: 'public',
        dbTable: 'outbox',
        dbPublication: 'outbox',
        dbReplicationSlot: `${database}_outbox`,
        enableMaxAttemptsProtection: false,
        enablePoisonousMessageProtection: false,
      },
    },
    { handle: async message => await post(JSON.stringify(message.payload)) },
    getDisabledLogger(),
    { concurrencyStrategy: createReplicationSemaphoreConcurrencyController(100) },
  )
  sayReady()
}

if (import.meta.main) await work()
