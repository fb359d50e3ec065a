import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSnippets, type Snippet } from '../src/admin/kit/snippets.ts'
import { openSender } from '../src/delivery/sending/attempt.ts'
import { createDeliver } from '../src/delivery/sending/deliver.ts'
import { createGuard } from '../src/delivery/sending/guard.ts'
import { parseSealKey } from '../src/domain/webhook/seal.ts'
import { formatSecret, parseSecret, sign } from '../src/domain/webhook/signature.ts'
import { sealSecret } from '../src/domain/webhook/webhook-secrets.ts'
import { verify } from '../src/receiver/verify.ts'
import { allowing } from './domain/allowing.ts'
import { type Language, type Program, programs } from './support/receiver-programs.ts'
import { type Arrival, startTestReceiver } from './support/test-receiver.ts'

const run = promisify(execFile)
// Their base64 has all of `+`, `/` and `=`, and their bytes begin with zero: what careless decoding trips over.
const [secret, before, foreign] = [0xfb, 0xff, 7].map(byte =>
  formatSecret(Buffer.from([0, ...Array<number>(31).fill(byte)])),
) as [string, string, string]

type Case = { secret: string; headers: Record<string, string>; body: string }

let folder: string
/** Why a language is not tried. */
const missing = new Map<Language, string>()
/** A delivery as it came, signed with `secret` and `before`. */
let arrival: Arrival
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhook-receiving-'))
  const read = readSnippets()
  if (!read.ok) throw new Error(JSON.stringify(read.problem))
  expect(read.snippets.map(({ language }) => language)).toEqual(Object.keys(programs))
  for (const snippet of read.snippets) await prepare(snippet)

  await using receiver = await startTestReceiver()
  const guard = createGuard({ allow: allowing('127.0.0.1') })
  const sender = openSender({ guard, deadlineMs: 15_000, connectTimeoutMs: 5_000, maxResponseBytes: 1_024 })
  const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!
  const deliver = createDeliver({ post: sender.post, sealKey, userAgent: 'walhook/0.0.0', nowMs: Date.now })
  const seal = (text: string, nonce: number) => sealSecret(sealKey, 3, text, Buffer.alloc(12, nonce))
  const attempt = await deliver(
    {
      webhookId: 3,
      url: receiver.url,
      sealed: { secret: seal(secret, 1), previousSecret: seal(before, 2), headers: null },
    },
    {
      trigger: 'schedule',
      eventId: 17n,
      eventIds: null,
      messageId: 'msg_3_17',
      entityType: 'user',
      entityId: '1',
      actionType: 'new',
      number: 1,
      // Nothing that a parser would write again in the same way.
      body: '{"entity_id":1, "n":1.0,"entity_type":"user","a":"Zo\\u00eb 🎟\\/","action_type":"new"}\n',
    },
    new AbortController().signal,
  )
  await sender.close()
  expect(attempt.outcome).toBe('delivered')
  arrival = receiver.arrivals[0]!
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Writes a snippet's program into a folder of its language, and builds it. */
async function prepare({ language, code, call }: Snippet): Promise<void> {
  const name = language as Language
  const how: Program = programs[name]
  const at = join(folder, language)
  await mkdir(at)
  const used = Object.entries(how.replacements).reduce((text, [name, value]) => {
    expect(text).toContain(name)
    return text.replace(name, () => value)
  }, call)
  const program = (text: string) => text.replace('CALL', () => used)
  const files = { [how.file]: `${code}\n${program(how.main)}`, ...how.beside }
  for (const [file, text] of Object.entries(files)) await writeFile(join(at, file), program(text))
  // The crates that its comment names.
  const crates = /^\/\/ cargo add (.*)$/m.exec(code)?.[1]?.split(' ')
  const steps = [
    ...(crates ? [['cargo', 'add', '--quiet', ...crates]] : []),
    how.build ?? [how.command[0]!, '--version'],
  ]
  for (const [command, ...args] of steps)
    await run(command!, args, { cwd: at }).catch(error => {
      if (error.code === 'ENOENT') missing.set(name, `there is no ${how.needs} here`)
      else if (/[Cc]ould not (resolve|connect)|download of config\.json failed/.test(error.stderr))
        missing.set(name, `the packages for ${how.needs} can’t be reached`)
      else throw error
    })
}

/** The request that came, as it came or changed. */
function caseOf(change: Partial<Case> = {}): Case {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']
  const headers = Object.fromEntries(names.map(name => [name, String(arrival.headers[name])]))
  return { secret, headers, body: arrival.body, ...change }
}

/** Signed in any way, at a time that is `offS` away from now. */
function signedAt(offS: number, change: { secrets?: string[]; timestamp?: string } = {}): Case {
  const timestampS = Math.floor(Date.now() / 1000) + offS
  const timestamp = change.timestamp ?? String(timestampS)
  const body = '{"a":1}'
  const secrets = (change.secrets ?? [secret]).map(parseSecret)
  const signature = sign({ id: 'msg_1', timestampS: timestamp as unknown as number, body, secrets })
  return caseOf({
    body,
    headers: { 'webhook-id': 'msg_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature },
  })
}

async function verifiedBy(language: Language, { secret, headers, body }: Case): Promise<boolean> {
  const { command, takes }: Program = programs[language]
  const at = join(folder, language)
  const file = join(at, 'body')
  await writeFile(file, body)
  const parts = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name => headers[name] ?? '')
  const args = takes === 'parts' ? [secret, ...parts, file] : [JSON.stringify({ secret, headers, file })]
  const { stdout, stderr } = await run(command[0]!, [...command.slice(1), ...args], { cwd: at })
  expect(stderr).toBe('')
  expect(stdout.trim()).toMatch(/^(true|false)$/)
  return stdout.trim() === 'true'
}

const changedHeader = (name: string, change: (value: string) => string) => () => {
  const one = caseOf()
  return { ...one, headers: { ...one.headers, [name]: change(one.headers[name]!) } }
}
const signatures = (change: (value: string) => string) => changedHeader('webhook-signature', change)

const cases: [what: string, isGood: boolean, make: () => Case][] = [
  ['a delivery', true, () => caseOf()],
  ['one by a receiver that has the secret before the rotation', true, () => caseOf({ secret: before })],
  ['the first signature alone', true, signatures(text => text.split(' ')[0]!)],
  [
    'one after signatures of other versions',
    true,
    signatures(text => `v1a,AAAA v2,${text.slice(3)} ${text}`),
  ],
  ['four minutes ago', true, () => signedAt(-240)],
  ['in four minutes', true, () => signedAt(240)],
  ["another's secret", false, () => caseOf({ secret: foreign })],
  ['the second signature alone, of the secret before', false, signatures(text => text.split(' ')[1]!)],
  ['another body', false, () => caseOf({ body: arrival.body.replace('user', 'usar') })],
  ['the same body written again', false, () => caseOf({ body: JSON.stringify(JSON.parse(arrival.body)) })],
  ['another id', false, changedHeader('webhook-id', text => `${text}0`)],
  ['another time', false, changedHeader('webhook-timestamp', text => String(Number(text) - 1))],
  ['six minutes ago', false, () => signedAt(-360)],
  ['in six minutes', false, () => signedAt(360)],
  ['milliseconds', false, () => signedAt(0, { timestamp: String(Date.now()) })],
  ['a time that is none', false, () => signedAt(0, { timestamp: `${Math.floor(Date.now() / 1000)}x` })],
  ['no time', false, () => signedAt(0, { timestamp: '' })],
  ['no headers', false, () => caseOf({ headers: {} })],
  ['a signature of another version', false, signatures(text => text.replaceAll('v1,', 'v2,'))],
  ['a signature cut short', false, signatures(text => text.split(' ')[0]!.slice(0, 20))],
  ['no signature', false, signatures(() => '')],
  ['an empty signature', false, signatures(() => 'v1,')],
]

describe.each(Object.keys(programs) as Language[])('the snippet in %s', language => {
  test.for(cases)('%s: %j', async ([, isGood, make], { skip }) => {
    const reason = missing.get(language)
    if (reason) skip(reason)
    expect(await verifiedBy(language, make())).toBe(isGood)
  })
})

test('the request of the bash snippet equals one of walhook', async () => {
  await using receiver = await startTestReceiver()
  const file = join(folder, 'sent.body')
  await writeFile(file, arrival.body)
  await run('bash', ['receiver.sh', 'send', secret, receiver.url, file], { cwd: join(folder, 'bash') })
  const { headers, body } = receiver.arrivals[0]!
  const header = (name: string) => String(headers[name])
  const request = {
    id: header('webhook-id'),
    timestamp: header('webhook-timestamp'),
    signature: header('webhook-signature'),
    body,
  }
  expect(verify(request, [secret], Date.now() / 1000)).toEqual({ state: 'valid' })
})

test("README's example request is signed with its secret", async () => {
  const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const [head, body] = /^```http\n(.*?)\n```$/ms.exec(readme)![1]!.split('\n\n') as [string, string]
  const headers = Object.fromEntries(
    head
      .split('\n')
      .slice(1)
      .map(line => line.split(': ') as [string, string]),
  )
  const shown = /secret `(whsec_[^`]+)`/.exec(readme)![1]!
  const signature = sign({
    id: headers['webhook-id']!,
    timestampS: Number(headers['webhook-timestamp']),
    body,
    secrets: [parseSecret(shown)],
  })
  expect(headers['webhook-signature']).toBe(signature)
})
