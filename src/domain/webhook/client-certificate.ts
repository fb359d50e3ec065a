import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { because, type Reason } from '../shown/reason.ts'

/** A certificate with its chain, and its key, as PEM. */
export type ClientIdentity = { readonly certificate: string; readonly key: string }

/** The public parts of a certificate. */
export type ShownCertificate = {
  readonly subject: string
  /** SHA-256, in hex with colons. */
  readonly fingerprint: string
  readonly expiresAt: Date
}

type Validated =
  | { readonly ok: true; readonly shown: ShownCertificate }
  | {
      readonly ok: false
      readonly problems: readonly { readonly field: keyof ClientIdentity; readonly reason: Reason }[]
    }

/** Checks an admin's client certificate: valid at `now`, with the matching key. */
export function validateClientIdentity({ certificate, key }: ClientIdentity, now: Date): Validated {
  const cert = readCertificate(certificate)
  const privateKey = readKey(key)
  const problems = [
    ...('reason' in cert
      ? [{ field: 'certificate' as const, reason: cert.reason }]
      : validityProblems(cert.parsed, now)),
    ...('reason' in privateKey ? [{ field: 'key' as const, reason: privateKey.reason }] : []),
  ]
  if ('parsed' in cert && 'parsed' in privateKey && !cert.parsed.checkPrivateKey(privateKey.parsed))
    problems.push({ field: 'key', reason: because('certificate.other_key') })
  if (problems.length > 0 || 'reason' in cert) return { ok: false, problems }
  const { subject, fingerprint256, validToDate } = cert.parsed
  const name = subject.replaceAll('\n', ', ')
  return { ok: true, shown: { subject: name, fingerprint: fingerprint256, expiresAt: validToDate } }
}

/** An id of certificate and key: connections made with one are not reused for another. */
export function identityId({ certificate, key }: ClientIdentity): string {
  return createHash('sha256').update(certificate).update('\0').update(key).digest('hex')
}

function readCertificate(pem: string): { parsed: X509Certificate } | { reason: Reason } {
  const reason = because('certificate.not_pem')
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) return { reason }
  try {
    return { parsed: new X509Certificate(pem) }
  } catch {
    return { reason }
  }
}

function readKey(pem: string): { parsed: KeyObject } | { reason: Reason } {
  if (/ENCRYPTED/.test(pem)) return { reason: because('certificate.key_encrypted') }
  try {
    return { parsed: createPrivateKey(pem) }
  } catch {
    return { reason: because('certificate.key_not_pem') }
  }
}

function validityProblems(cert: X509Certificate, now: Date) {
  const { validFromDate: from, validToDate: to } = cert
  const reason =
    now >= to
      ? because('certificate.expired', { at: to.toISOString() })
      : now < from
        ? because('certificate.not_yet', { at: from.toISOString() })
        : null
  return reason === null ? [] : [{ field: 'certificate' as const, reason }]
}
