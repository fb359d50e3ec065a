// The health of a container: `/readyz` of `serve`, the page of `listen`. Red while the database or capture is away.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const args = readFileSync('/proc/1/cmdline', 'utf8').split('\0')
const start = args.indexOf('listen')
const options = { port: { type: 'string', default: '9090' } }
const receiver = start > 0 && parseArgs({ args: args.slice(start + 1), options, strict: false }).values
const address = receiver
  ? `http://127.0.0.1:${receiver.port}/`
  : `http://127.0.0.1:${process.env.PORT}/readyz`
fetch(address).then(
  ({ ok }) => process.exit(ok ? 0 : 1),
  () => process.exit(1),
)
