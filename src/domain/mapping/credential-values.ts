import { looksLikeCredential } from './credentials.ts'

/** Unmistakable forms of secrets: one such value is enough. */
const forms: readonly (readonly [string, RegExp])[] = [
  ['bcrypt hashes', /^(\{\w+\}|bcrypt(_sha256)?\$+)?\$?2[abxy]?\$\d\d\$[./A-Za-z0-9]{50,}$/],
  ['argon2 hashes', /^(argon2)?\$?argon2(id|i|d)\$/],
  ['PBKDF2 hashes', /^(\{\w+\})?\$?pbkdf2[_:$(-]/i],
  ['scrypt hashes', /^(\{\w+\})?(\$s0\$|\$7\$|\$?scrypt[:$])/i],
  ['crypt hashes', /^(\{crypt\})?\$(1|5|6|y|gy|apr1|md5|sha1)\$/i],
  ['phpass hashes', /^\$[PHSU]\$[./A-Za-z0-9]{20,}/],
  ['salted hashes', /^(sha1|sha256|sha512|md5|unsalted_md5|hmac)\$[^$]*\$[0-9a-f]{32,}$/i],
  ['LDAP hashes', /^\{(SSHA|SSHA256|SSHA512|SHA|SHA256|SMD5|MD5)\}[A-Za-z0-9+/]+=*$/i],
  ['ASP.NET password hashes', /^AQAAAA[A-Za-z0-9+/]{50,}={0,2}$/],
  ['SCRAM verifiers', /^SCRAM-SHA-\d+\$\d+:/],
  ['private keys', /-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----/],
  ['JSON Web Tokens', /^(Bearer )?eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*$/],
  ['one-time password URIs', /^otpauth:\/\//i],
  [
    'API tokens',
    /^(gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|[sr]k_(live|test)_\w{16,}|whsec_[\w+/=]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,}|EAA[A-Za-z0-9]{30,}|sk-[\w-]{20,}|npm_\w{36}|hf_\w{30,}|SG\.[\w-]{16,}\.[\w-]{16,})/,
  ],
  ['URLs with a password', /^[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:[^\s/@]+@/i],
]

/** The kind of secret that a sample of a column's values shows, or null. */
export function suspectValues(values: readonly (string | null)[]): string | null {
  const texts = values.filter(value => value !== null && value !== '') as string[]
  for (const [what, form] of forms) if (texts.some(text => form.test(text))) return what
  // These may be checksums: several are needed, and all must look random.
  if (texts.length < 2) return null
  const isMostly = (test: (text: string) => boolean) => texts.filter(test).length >= 0.8 * texts.length
  if (new Set(texts).size < 0.8 * texts.length) return null
  if (isMostly(text => /^(\\x|0x)?[0-9a-f]{32,}$/i.test(text) && /\d/.test(text)))
    return 'long hexadecimal texts, as hashes and tokens are'
  return isMostly(isRandomText) ? 'long random texts, as tokens are' : null
}

/** Base64 and similar: no word, no URL, no path. */
function isRandomText(text: string): boolean {
  if (!/^[A-Za-z0-9+/_-]{32,512}={0,2}$/.test(text)) return false
  if (!/\d/.test(text) || !/[a-z]/.test(text) || !/[A-Z]/.test(text)) return false
  return bitsPerCharacter(text) > 4
}

function bitsPerCharacter(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

const deepest = 4

/** The names in a sample of JSON values that look like credentials, as `mfa.secret`, each once, at most ten. */
export function suspectKeys(values: readonly (string | null)[]): string[] {
  const found = new Set<string>()
  const visit = (value: unknown, path: readonly string[]) => {
    if (typeof value !== 'object' || value === null || path.length > deepest) return
    for (const [name, inner] of Object.entries(value)) {
      if (Array.isArray(value)) visit(inner, path)
      else if (typeof inner !== 'string') visit(inner, [...path, name])
      else if (looksLikeCredential(name) || suspectValues([inner]) !== null)
        found.add([...path, name].join('.'))
    }
  }
  for (const text of values) {
    try {
      if (text !== null) visit(JSON.parse(text), [])
    } catch {
      // Cut off: other values of the sample are whole.
    }
  }
  return [...found].slice(0, 10)
}
