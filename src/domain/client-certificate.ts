import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

/** A certificate, with the chain behind it, and its key, as PEM. */
export type ClientIdentity = { readonly certificate: string; readonly key: string }

/** What may be shown of a certificate. */
export type ShownCertificate = {
  readonly subject: string
  /** SHA-256, in hex with colons. */
  readonly fingerprint: string
  readonly expiresAt: Date
}

type Judged =
  | { readonly ok: true; readonly shown: ShownCertificate }
  | {
      readonly ok: false
      readonly problems: readonly { readonly field: keyof ClientIdentity; readonly detail: string }[]
    }

/** Judges what an admin gives for mutual TLS: a certificate that is valid at `now`, and the key that belongs to it. */
export function judgeClientIdentity({ certificate, key }: ClientIdentity, now: Date): Judged {
  const cert = readCertificate(certificate)
  const privateKey = readKey(key)
  const problems = [
    ...('detail' in cert
      ? [{ field: 'certificate' as const, detail: cert.detail }]
      : validityProblems(cert.parsed, now)),
    ...('detail' in privateKey ? [{ field: 'key' as const, detail: privateKey.detail }] : []),
  ]
  if ('parsed' in cert && 'parsed' in privateKey && !cert.parsed.checkPrivateKey(privateKey.parsed))
    problems.push({
      field: 'key',
      detail:
        'The key does not belong to the certificate. Of a chain, the certificate of the key comes first.',
    })
  if (problems.length > 0 || 'detail' in cert) return { ok: false, problems }
  const { subject, fingerprint256, validToDate } = cert.parsed
  const name = subject.replaceAll('\n', ', ')
  return { ok: true, shown: { subject: name, fingerprint: fingerprint256, expiresAt: validToDate } }
}

/** One name for a certificate and its key, so that connections made with one are not used for another. */
export function identityId({ certificate, key }: ClientIdentity): string {
  return createHash('sha256').update(certificate).update('\0').update(key).digest('hex')
}

function readCertificate(pem: string): { parsed: X509Certificate } | { detail: string } {
  const detail =
    'This is not a certificate in PEM: it begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----.'
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) return { detail }
  try {
    return { parsed: new X509Certificate(pem) }
  } catch {
    return { detail }
  }
}

function readKey(pem: string): { parsed: KeyObject } | { detail: string } {
  if (/ENCRYPTED/.test(pem))
    return {
      detail: 'The key is encrypted. Give it without a passphrase: openssl pkey -in key.pem -out plain.pem',
    }
  try {
    return { parsed: createPrivateKey(pem) }
  } catch {
    return {
      detail:
        'This is not a private key in PEM: it begins with -----BEGIN PRIVATE KEY----- or the name of its kind.',
    }
  }
}

function validityProblems(cert: X509Certificate, now: Date) {
  const { validFromDate: from, validToDate: to } = cert
  const detail =
    now >= to
      ? `The certificate has expired at ${to.toISOString()}. Give one that is valid.`
      : now < from
        ? `The certificate is valid only from ${from.toISOString()} on. Give one that is valid now.`
        : null
  return detail === null ? [] : [{ field: 'certificate' as const, detail }]
}
