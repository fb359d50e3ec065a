import { type CheckLine, ok, warning } from '../../domain/capture/check-line.ts'
import type { DatabaseUrl } from '../../domain/database/database-url.ts'

const local = /^(localhost|127\..*|\[?::1\]?|\/.*|%2f.*)$/i

/** The check of a connection's TLS; null: the server is on this machine, or nobody offers TLS. `variable` is the source of the URL. */
export function tlsLine(
  variable: string,
  { tls, hosts }: { readonly tls: DatabaseUrl['tls']; readonly hosts: readonly string[] },
  serverHasTls: boolean,
): CheckLine | null {
  const what = `${variable}, TLS`
  if (hosts.every(host => local.test(host))) return null
  const mend =
    'sslmode=verify-full, with sslrootcert=/path/to/ca.pem if the authority of the server is not public'
  if (tls === null) {
    if (!serverHasTls) return null
    const found = 'unused, although the server has it: who sees the network sees rows'
    return warning('tls', what, found, `add ${mend}; or add sslmode=disable if the network is safe`)
  }
  const { mode } = tls
  if (mode === 'disable') return ok('tls', what, 'off (sslmode=disable)')
  if (mode === 'verify-full') return ok('tls', what, 'verifies authority and name of the server')
  if (mode === 'verify-ca') return ok('tls', what, 'verifies the authority of the server, not its name')
  const found = 'sslmode=require verifies no certificate: another server can pretend to be this one'
  return warning('tls', what, found, `write ${mend}`)
}
