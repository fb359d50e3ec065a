// The health of a container: `/readyz` of `serve`, the page of `listen`. Red while the database or capture is away.
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { parseArgs } from 'node:util'

const { PORT, HOST, WALHOOK_ROLES } = process.env
const args = readFileSync('/proc/1/cmdline', 'utf8').split('\0')
const start = args.indexOf('listen')
const options = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '9090' },
}
const receiver = start > 0 && parseArgs({ args: args.slice(start + 1), options, strict: false }).values
const roles = WALHOOK_ROLES?.split(',').map(role => role.trim())
// Without the role `api` there is no port. Docker sees by itself whether the process runs.
if (!receiver && WALHOOK_ROLES?.trim() && !roles.includes('api')) process.exit(0)

const host = (receiver ? receiver.host : HOST?.trim()) || '127.0.0.1'
const everywhere = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }
const place = everywhere[host] ?? (host.includes(':') ? `[${host}]` : host)
const address = receiver
  ? `http://${place}:${receiver.port}/`
  : `http://${place}:${PORT?.trim() || 8080}/readyz`
// An agent of its own: the default one may use a proxy (NODE_USE_ENV_PROXY).
get(address, { agent: new Agent() }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on(
  'error',
  () => process.exit(1),
)
