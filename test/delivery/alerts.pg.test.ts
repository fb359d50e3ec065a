import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createAlerts } from '../../src/delivery/alerts/alerts.ts'
import { openMail } from '../../src/delivery/alerts/mail.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { readMailTrouble } from '../../src/outbox/records/alert-mails.ts'
import { noteIncidents } from '../../src/outbox/records/incidents.ts'
import type { Log } from '../../src/runtime/log.ts'
import { openTestOutbox, slotName, type TestOutbox } from '../support/open-outbox.ts'
import { startSmtpServer } from '../support/smtp-server.ts'
import { until } from '../support/wait.ts'

const sealKey = parseSealKey(Buffer.alloc(32, 1).toString('base64'))!

/** The service, for the length of a test, with what it logs. */
function run(at: TestOutbox, smtpUrl: string | null) {
  const lines: string[] = []
  const write = (name: string, facts?: object) => void lines.push(`${name} ${JSON.stringify(facts)}`)
  const log = { info: write, warn: write, error: write, debug: write } as unknown as Log
  const ending = new AbortController()
  const services = createAlerts({
    ...{ outbox: at.outbox, main: at.outbox, sealKey, trustedDomains: ['trusted.example'] },
    mail: smtpUrl === null ? null : { smtpUrl, from: 'walhook <walhook@example.com>' },
    toCapture: ['ops@example.com', 'chef@example.com'],
    publicUrl: 'https://walhook.example.com',
    language: 'en',
    log,
  })
  const running = Promise.all(services.map(service => service.run(ending.signal)))
  return {
    lines,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
    },
  }
}

const blocked = { kind: 'capture.blocked', of: slotName, facts: { code: 'capture.source_problem' } } as const

test('each address gets one mail, with the fix and without a secret', async () => {
  await using at = await openTestOutbox()
  await using smtp = await startSmtpServer()
  await using one = run(at, smtp.url)
  await using two = run(at, smtp.url)
  await noteIncidents(at.outbox.pool, [blocked])
  await until(async () => (await at.count('alert_mails', 'sent_at is not null')) === 2, {
    what: 'both mails',
  })
  expect(smtp.mails.flatMap(({ to }) => to).sort()).toEqual(['chef@example.com', 'ops@example.com'])
  expect(new Set(smtp.mails.map(({ messageId }) => messageId)).size).toBe(2)
  const [{ raw, from }] = smtp.mails as [(typeof smtp.mails)[number]]
  expect(from).toBe('walhook@example.com')
  expect(raw).toMatch(/^Subject: \[walhook\] Capture is blocked/m)
  expect(raw.replaceAll('=\n', '')).toContain('https://walhook.example.com/health')
  expect([...one.lines, ...two.lines].join('\n')).not.toMatch(/secret-of-smtp|example\.com/)
})

test('a refused mail is retried, and logged without its address', async () => {
  await using at = await openTestOutbox()
  let isRefusing = true
  await using smtp = await startSmtpServer(() =>
    isRefusing ? { code: 451, text: 'greylisted: ops@example.com' } : null,
  )
  await using service = run(at, smtp.url)
  await noteIncidents(at.outbox.pool, [blocked])
  const trouble = () => readMailTrouble(at.outbox)
  await until(async () => (await trouble()).failed === 2, { what: 'two failures' })
  expect(await trouble()).toEqual({ failed: 2, givenUp: 0, waiting: 0, lastError: 'EMESSAGE, answer 451' })
  expect(service.lines.join('\n')).not.toContain('example.com')
  // A line is written after its commit.
  await until(() => service.lines.filter(line => line.startsWith('alert.mail_failed')).length === 2, {
    what: 'both failures to be said',
  })
  isRefusing = false
  await at.outbox.pool.query('update walhook.alert_mails set due_at = now()')
  await until(() => smtp.mails.length === 2, { what: 'both mails' })
  await until(async () => (await trouble()).failed === 0, { what: 'no failure' })
})

test('after a day of retries a mail is dropped with a log line', async () => {
  await using at = await openTestOutbox()
  await using smtp = await startSmtpServer(() => ({ code: 554, text: 'no' }))
  await using service = run(at, smtp.url)
  await noteIncidents(at.outbox.pool, [blocked])
  await until(
    async () => {
      await at.outbox.pool.query(
        'update walhook.alert_mails set due_at = now() where error is not null and due_at > now()',
      )
      return (await readMailTrouble(at.outbox)).givenUp === 2
    },
    { what: 'both to be given up', timeoutMs: 60_000 },
  )
  // The last line is written after its commit.
  const failures = () => service.lines.filter(line => line.startsWith('alert.mail_failed')).length
  await until(() => failures() >= 16, { what: 'each failure to be said' })
  expect(failures()).toBe(16)
})

test('without an SMTP server mails wait, and webhooks get their alerts', async () => {
  await using at = await openTestOutbox()
  await at.webhook(['capture.blocked'])
  await using service = run(at, null)
  await noteIncidents(at.outbox.pool, [blocked])
  await until(() => service.lines.some(line => line.startsWith('alert.sent')), { what: 'the alert' })
  expect(await at.count('alert_mails', 'due_at <= now()')).toBe(2)
  expect(await at.count('deliveries')).toBe(1)
})

/** A server that says something now and then, and never the last word. */
async function startTalker() {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    const timer = setInterval(() => socket.write('250-and\r\n'), 20)
    socket.on('error', () => {}).on('close', () => clearInterval(timer))
    socket.write('220 mail\r\n')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: () => sockets.size,
    areClosed: () => [...sockets].every(socket => socket.destroyed),
    end() {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      this.end()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

test('an endless mail server delays no alert to a webhook', async () => {
  await using at = await openTestOutbox()
  await using talker = await startTalker()
  await using _service = run(at, talker.url)
  await noteIncidents(at.outbox.pool, [blocked])
  await until(() => talker.sockets() > 0, { what: 'a mail under way' })
  await noteIncidents(at.outbox.pool, [{ kind: 'capture.lagging', of: slotName }])
  await until(async () => (await at.count('incidents', 'told_at is not null')) === 2, {
    what: 'the second alert',
  })
  talker.end()
})

test('a mail to an endless server times out, and its connection is closed', async () => {
  await using talker = await startTalker()
  await using mail = await openMail({ smtpUrl: talker.url, from: 'walhook@example.com' }, 200)
  const sent = await mail.send({ to: 'a@example.com', subject: 's', text: 't', messageId: '<1@example.com>' })
  expect(sent).not.toBeNull()
  await until(() => talker.areClosed(), { what: 'the connection to close' })
})
