import { generate } from 'selfsigned'

/** A certificate and its key, as PEM. */
export type Identity = { readonly cert: string; readonly key: string }

const day = 86_400_000

/** An authority of the test's own, and what makes certificates in its name; nobody trusts it who is not told to. */
export async function makeAuthority(name = 'walhook test authority') {
  const ca = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true },
    ],
  })
  return {
    cert: ca.cert,
    key: ca.private,
    /** A certificate for a host name that is valid until so many days from now; -1: it expired yesterday. */
    async certify(host: string, days = 30): Promise<Identity> {
      const made = await generate([{ name: 'commonName', value: host }], {
        keyType: 'ec',
        algorithm: 'sha256',
        notBeforeDate: new Date(Date.now() - 30 * day),
        notAfterDate: new Date(Date.now() + days * day),
        ca: { key: ca.private, cert: ca.cert },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
        ],
      })
      return { cert: made.cert, key: made.private }
    },
  }
}

/** A certificate for a host name that nobody but itself vouches for. */
export async function selfSigned(host: string): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: host }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: host }] }],
  })
  return { cert: made.cert, key: made.private }
}
