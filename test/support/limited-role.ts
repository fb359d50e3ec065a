import { inject } from 'vitest'
import { connect } from './connect.ts'
import { createTestDatabase } from './database.ts'

/**
 * A database whose tables belong to the role that the tests' server was made with, and a role that may replicate, read
 * them, and make the outbox; the publication is there. Put away with the block.
 */
export async function openLimitedRole(sql: string, published: string) {
  const database = await createTestDatabase()
  const role = `limited_${database.name}`.slice(0, 63)
  const admin = await connect(database.url)
  await admin.query(sql)
  await admin.query(`
    create role ${role} login replication password 'walhook'; grant create on database ${database.name} to ${role};
    grant usage on schema public to ${role}; grant select on all tables in schema public to ${role};
    create publication walhook for table ${published} with (publish_via_partition_root = true)`)
  const url = new URL(database.url)
  url.username = role
  url.password = 'walhook'
  return {
    admin,
    role,
    database: { ...database, url: url.href },
    slotName: database.name.slice(0, 63),
    async [Symbol.asyncDispose]() {
      await admin.query(`reassign owned by ${role} to current_user; drop owned by ${role}`)
      await admin.end()
      await database.drop()
      await using server = await connect(inject('postgres')!.url)
      await server.query(`drop role if exists ${role}`)
    },
  }
}
