import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'

export type ReceivedMail = {
  readonly from: string
  readonly to: readonly string[]
  readonly raw: string
  readonly messageId: string
}

/** A real SMTP server that keeps what it is sent. `answer` is asked for each mail: an error of SMTP, or null. */
export async function startSmtpServer(answer: () => { code: number; text: string } | null = () => null) {
  const mails: ReceivedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, callback) =>
      password === 'secret-of-smtp'
        ? callback(null, { user: username ?? '' })
        : callback(new Error('wrong password')),
    async onData(stream, { envelope }, callback) {
      const raw = (await text(stream)).replaceAll('\r\n', '\n')
      const refusal = answer()
      if (refusal) return callback(Object.assign(new Error(refusal.text), { responseCode: refusal.code }))
      mails.push({
        from: envelope.mailFrom ? envelope.mailFrom.address : '',
        to: envelope.rcptTo.map(({ address }) => address),
        raw,
        messageId: /^message-id: *(.*)$/im.exec(raw)?.[1] ?? '',
      })
      callback()
    },
  })
  server.on('error', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return {
    url: `smtp://walhook:secret-of-smtp@127.0.0.1:${port}`,
    mails: mails as readonly ReceivedMail[],
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}
