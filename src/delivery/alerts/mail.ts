/** The SMTP server and the sender. */
export type MailSettings = { readonly smtpUrl: string; readonly from: string }

export type Mail = {
  readonly to: string
  readonly subject: string
  readonly text: string
  /** Equal for each attempt, so that a duplicate is recognizable. */
  readonly messageId: string
}

const connectMs = 10_000
const silenceMs = 30_000
/** The limit for a whole mail: a slow server may never be silent. Shorter than its lease in `outbox/records/alert-mails.ts`. */
const wholeMs = 60_000

/** Opens the way to the SMTP server, with a connection per mail. The library takes 20 MB of memory, and is loaded on demand. */
export async function openMail({ smtpUrl, from }: MailSettings, withinMs = wholeMs) {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    /** Null: accepted. Otherwise the reason as codes: the server's text may contain an address. */
    async send(mail: Mail): Promise<string | null> {
      try {
        await transport.sendMail({ from, ...mail, signal: AbortSignal.timeout(withinMs) })
        return null
      } catch (error) {
        const { code, responseCode } = error as { code?: string; responseCode?: number }
        return [code ?? 'the mail failed', responseCode && `answer ${responseCode}`]
          .filter(Boolean)
          .join(', ')
      }
    },
    [Symbol.asyncDispose]: async () => transport.close(),
  }
}

export type MailSender = Awaited<ReturnType<typeof openMail>>
