import { Client } from 'pg'
import { urlOf } from './template.ts'

/** The URL of a coordinator of Citus, in a database with the extension and its workers; null: none is named. */
export const citusUrl = process.env.WALHOOK_TEST_CITUS || null

type Node = { readonly url: string; readonly host: string; readonly port: number }

/** The coordinator first, then its workers, for the user and with the password of the URL. */
export async function nodesOf(url: string): Promise<Node[]> {
  const rows = await ask(
    url,
    `select nodename, nodeport from pg_dist_node where noderole = 'primary' order by groupid`,
  )
  return rows.map(({ nodename, nodeport }) => {
    const node = new URL(url)
    node.hostname = nodename
    node.port = String(nodeport)
    return { url: node.href, host: nodename, port: nodeport }
  })
}

// biome-ignore lint/suspicious/noExplicitAny: rows as node-postgres gives them
async function ask(url: string, ...statements: string[]): Promise<any[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    let rows: unknown[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

const settings = ['citus.enable_schema_based_sharding = off', 'citus.enable_unsafe_triggers = on']

/** Makes a database on each node, joined as the nodes of `url` are. Returns its URL on the coordinator. */
export async function createOnCitus(url: string, name: string): Promise<string> {
  const nodes = await nodesOf(url)
  for (const node of nodes) {
    await ask(node.url, `create database ${name}`)
    await ask(urlOf(node.url, name), 'create extension citus')
  }
  const [coordinator, ...workers] = nodes
  await ask(
    urlOf(coordinator!.url, name),
    `select citus_set_coordinator_host('${coordinator!.host}', ${coordinator!.port})`,
    ...workers.map(({ host, port }) => `select citus_add_node('${host}', ${port})`),
    ...settings.map(setting => `alter database ${name} set ${setting}`),
  )
  return urlOf(coordinator!.url, name)
}

export async function dropOnCitus(url: string, name: string): Promise<void> {
  for (const node of await nodesOf(url)) await ask(node.url, `drop database if exists ${name} with (force)`)
}
