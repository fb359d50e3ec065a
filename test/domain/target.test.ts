import { describe, expect, test } from 'vitest'
import { checkTargetUrl, hostIsAllowedByName } from '../../src/domain/webhook/target.ts'
import { parseTargetList } from '../../src/domain/webhook/target-list.ts'
import { allowing, reasonOf } from './allowing.ts'

const nothing = allowing('')

function problemsOf(text: string): string[] {
  const parsed = parseTargetList(text)
  return parsed.ok ? [] : parsed.problems
}

describe('parseTargetList', () => {
  test('empty text and stray commas are the empty list', () => {
    for (const text of ['', '  ', ' , ,']) expect(allowing(text)).toEqual({ ranges: [], names: new Set() })
  })

  test('ranges, single addresses and names, trimmed', () => {
    const allow = allowing(' 10.0.0.0/8, fd00::/8 ,127.0.0.1,::1, Hooks.Internal. ,my_app-1,münchen.example,')
    expect(allow.ranges.map(range => range.prefixBits)).toEqual([8, 8, 32, 128])
    expect([...allow.names]).toEqual(['hooks.internal', 'my_app-1', 'xn--mnchen-3ya.example'])
  })

  test('addresses and names with a port', () => {
    const allow = allowing('10.0.0.5:8443,[fd00::1]:8443,Hooks.Internal.:8080,fd00::1:8443')
    expect(allow.ranges.map(({ prefixBits, port }) => [prefixBits, port])).toEqual([
      [32, 8443],
      [128, 8443],
      [128, undefined],
    ])
    expect([...allow.names]).toEqual(['hooks.internal:8080'])
  })

  test.each([
    ['10.0.0.0/33', 'needs a whole number from 0 to 32 after the slash'],
    ['10.0.0.0/', 'needs a whole number from 0 to 32 after the slash'],
    ['10.0.0.0/-1', 'needs a whole number from 0 to 32 after the slash'],
    ['10.0.0.0/8/9', 'needs a whole number from 0 to 32 after the slash'],
    ['fd00::/129', 'needs a whole number from 0 to 128 after the slash'],
    ['10.0.0.5/8', 'write 10.0.0.0/8, or 10.0.0.5 for that one alone'],
    ['fd00:0:0:1::5/48', 'write fd00::/48, or fd00:0:0:1::5 for that one alone'],
    ['example.com/24', 'is not a range'],
    ['https://example.com', 'is a URL: write its host name or address alone'],
    ['example.com:', 'needs a port from 1 to 65535'],
    ['example.com:0', 'needs a port from 1 to 65535'],
    ['10.0.0.1:65536', 'needs a port from 1 to 65535'],
    ['10.0.0.0/8:443', 'is a range with a port'],
    ['[fd00::]/8', 'contains brackets'],
    ['[::1]', 'contains brackets'],
    ['[10.0.0.1]:80', 'is neither a host name nor an address'],
    ['[hooks.internal]:80', 'is neither a host name nor an address'],
    ['127.1:80', 'is an unusual spelling of 127.0.0.1'],
    ['fe80::1%eth0', 'contains a zone id'],
    ['*.example.com', 'contains a wildcard'],
    ['127.1', 'is an unusual spelling of 127.0.0.1: write 127.0.0.1'],
    ['0x7f000001', 'is an unusual spelling of 127.0.0.1'],
    ['999.1.1.1', 'is neither a host name nor an address'],
    ['a..b', 'is neither a host name nor an address'],
    ['.', 'is neither a host name nor an address'],
    ['a b', 'is neither a host name nor an address'],
    ['a\tb', 'is neither a host name nor an address'],
    [`${'a'.repeat(64)}.example`, 'is neither a host name nor an address'],
  ])('%j: %s', (item, mend) => {
    const problems = problemsOf(`localhost,${item}`)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(JSON.stringify(item))
    expect(problems[0]).toContain(mend)
  })

  test('lists every problem, and shows no password', () => {
    const problems = problemsOf('*,127.0.0.1,10.0.0.0/99,https://joe:hunter2@example.com,joe:hunter2@x')
    expect(problems).toHaveLength(4)
    expect(problems.join()).not.toMatch(/joe|hunter2/)
    expect(problems[2]).toContain('"https://***@example.com"')
  })
})

describe('checkTargetUrl', () => {
  test.each([
    ['https://example.com', 'https://example.com/'],
    ['HTTPS://EXAMPLE.com:443/Hook?a=B', 'https://example.com/Hook?a=B'],
    ['https://example.com./x', 'https://example.com./x'],
    ['https://hooks.example:8443/', 'https://hooks.example:8443/'],
    ['https://my_app.example/', 'https://my_app.example/'],
    ['https://münchen.example/ä', 'https://xn--mnchen-3ya.example/%C3%A4'],
    ['https://8.8.8.8/', 'https://8.8.8.8/'],
    ['https://134744072/', 'https://8.8.8.8/'],
    ['https://[2606:4700::1111]:8443/', 'https://[2606:4700::1111]:8443/'],
    ['https:\\\\example.com\\a', 'https://example.com/a'],
    ['https:example.com', 'https://example.com/'],
  ])('allows %s, normalized to %s', (text, href) => {
    const verdict = checkTargetUrl(text, nothing)
    expect(verdict.ok && verdict.url.href).toBe(href)
  })

  test.each([
    'https://127.0.0.1/',
    'https://127.0.0.1./',
    'https://127.1/',
    'https://127.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0X7F000001/',
    'https://0x7f.0.0.0x1/',
    'https://0177.0.0.1/',
    'https://017700000001/',
    'https://%31%32%37.0.0.1/',
    'https://１２７.０.０.１/',
    'https://127。0。0。1/',
    'https:\\\\127.0.0.1\\',
    'https:127.0.0.1',
    'https:////127.0.0.1/',
    'https://127.0.0.1:8443/',
  ])('%s is recognised as loopback', text => {
    expect(reasonOf(checkTargetUrl(text, nothing))).toMatch(
      /^127\.0\.0\.1 is a loopback address \(127\.0\.0\.0\/8\)/,
    )
    expect(checkTargetUrl(text, allowing('127.0.0.1')).ok).toBe(true)
  })

  test.each([
    ['https://[::1]/', '::1 is a loopback'],
    ['https://[0:0:0:0:0:0:0:1]/', '::1 is a loopback'],
    ['https://[::127.0.0.1]/', '::7f00:1 is an IPv4-compatible'],
    ['https://[::ffff:127.0.0.1]/', '::ffff:7f00:1 is an IPv4-mapped'],
    ['https://0/', '0.0.0.0 is a "this network"'],
    ['https://[fd00:ec2::254]/', 'fd00:ec2::254 is a cloud metadata'],
    ['https://0xa9fea9fe/', '169.254.169.254 is a cloud metadata'],
    ['http://169.254.169.254/', '169.254.169.254 is a cloud metadata'],
  ])('%s: %s', (text, beginning) => {
    expect(reasonOf(checkTargetUrl(text, nothing)).startsWith(beginning)).toBe(true)
  })

  test.each([
    ['', 'not a complete URL'],
    ['example.com/hook', 'not a complete URL'],
    ['/hook', 'not a complete URL'],
    ['https://', 'not a complete URL'],
    ['https://[fe80::1%25eth0]/', 'not a complete URL'],
    ['https://1.2.3.256/', 'not a complete URL'],
    ['https://a%00b/', 'not a complete URL'],
    ['https://a:99999/', 'not a complete URL'],
    ['ftp://example.com/', 'must begin with https://'],
    ['file:///etc/passwd', 'must begin with https://'],
    ['javascript:alert(1)', 'must begin with https://'],
    ['data:,x', 'must begin with https://'],
    ['localhost:3000/x', 'must begin with https://'],
    ['https://example.com/#', 'must not contain a fragment'],
    ['https://example.com/#top', 'must not contain a fragment'],
    ['https://a..b/', 'not a valid host name'],
    ['https://./', 'not a valid host name'],
    ['https://example.com../', 'not a valid host name'],
    [`https://${'a'.repeat(64)}.example/`, 'not a valid host name'],
    [`https://${'a.'.repeat(130)}example/`, 'not a valid host name'],
    [' https://example.com/', 'a space or a control character'],
    ['https://exa\nmple.com/', 'a space or a control character'],
    ['https://example.com/a\tb', 'a space or a control character'],
    ['https://example.com/\u0000', 'a space or a control character'],
  ])('refuses %j: %s', (text, part) => {
    expect(reasonOf(checkTargetUrl(text, allowing('0.0.0.0/0,::/0,localhost')))).toContain(part)
  })

  test('the typed and the normalized URL have at most 2,048 characters', () => {
    const start = 'https://example.com/'
    expect(checkTargetUrl(start.padEnd(2048, 'a'), nothing).ok).toBe(true)
    expect(reasonOf(checkTargetUrl(start.padEnd(2049, 'a'), nothing))).toContain('2049 characters')
    expect(reasonOf(checkTargetUrl(start.padEnd(2000, 'ä'), nothing))).toContain('at most 2048')
    expect(reasonOf(checkTargetUrl(start + './'.repeat(1_020), nothing))).toContain('at most 2048')
  })

  test.each([
    'https://joe:hunter2@example.com/',
    'https://joe@example.com/',
    'https://:hunter2@example.com/',
    'https://joe:hunter2@127.0.0.1/',
    'https://example.com@127.0.0.1/joe',
    'https://joe:hunter2@example.com/#x',
    'https://joe:hunter2@exa mple.com/',
    'https://joe:hunter2@a..b/',
    'https://joe:hunter2@[::1/',
    'joe:hunter2@example.com',
    `https://joe:hunter2@example.com/${'a'.repeat(3000)}`,
    'ftp://joe:hunter2@example.com/',
    'https://127.0.0.1/joe?key=hunter2',
    'http://example.com/joe?key=hunter2',
  ])('refuses %s without repeating a secret', text => {
    const verdict = checkTargetUrl(text, nothing)
    expect(verdict.ok).toBe(false)
    expect(reasonOf(verdict)).not.toMatch(/joe|hunter2/)
  })

  test('allows http only for listed names, and for addresses inside listed ranges', () => {
    const allow = allowing('localhost,10.0.0.0/8,::1,203.0.114.7')
    const oks = ['localhost', 'LOCALHOST.:8080', '10.9.8.7', '[::1]', '203.0.114.7', '0x0a.1']
    for (const host of oks) expect([host, checkTargetUrl(`http://${host}/`, allow).ok]).toEqual([host, true])
    const noes = ['example.com', 'x.localhost', 'localhost.example', '8.8.8.8', '127.0.0.1', '[2606:4700::1]']
    for (const host of noes)
      expect([host, checkTargetUrl(`http://${host}/`, allow).ok]).toEqual([host, false])
  })

  test('an address or name allowed at one port is refused at every other', () => {
    const allow = allowing('10.0.0.5:8443,[fd00::1]:443,hooks.internal:8080,169.254.169.254:80')
    for (const url of [
      'https://10.0.0.5:8443/',
      'http://10.0.0.5:8443/',
      'https://[fd00::1]/',
      'http://hooks.internal:8080/',
      'http://169.254.169.254/',
    ])
      expect([url, checkTargetUrl(url, allow).ok]).toEqual([url, true])
    for (const url of [
      'https://10.0.0.5/',
      'https://10.0.0.5:8444/',
      'http://[fd00::1]/',
      'http://hooks.internal/',
      'https://169.254.169.254/',
    ])
      expect([url, checkTargetUrl(url, allow).ok]).toEqual([url, false])
  })

  test('the deny list beats the allow list', () => {
    const rules = {
      ...allowing('0.0.0.0/0,::/0,a.internal'),
      denied: allowing('10.0.0.0/8,A.internal,b.example:8443'),
    }
    for (const url of [
      'https://10.1.2.3/',
      'https://[::ffff:10.1.2.3]/',
      'http://a.internal./',
      'https://b.example:8443/',
    ])
      expect(reasonOf(checkTargetUrl(url, rules))).toContain('closed to webhooks by WALHOOK_DENY_TARGETS')
    for (const url of ['https://11.1.2.3/', 'https://b.example/'])
      expect([url, checkTargetUrl(url, rules).ok]).toEqual([url, true])
  })

  test('port 0 is refused under every allow list', () => {
    expect(reasonOf(checkTargetUrl('https://8.8.8.8:0/', allowing('0.0.0.0/0')))).toContain('port 0')
  })

  test('the returned URL is exactly the checked one', () => {
    const verdict = checkTargetUrl('http://127.0.0.1:9\\@evil.test', allowing('127.0.0.1'))
    expect(verdict.ok && verdict.url.href).toBe('http://127.0.0.1:9/@evil.test')
  })

  test('the refusal of http contains the fix', () => {
    expect(reasonOf(checkTargetUrl('http://app.internal./x', allowing('10.0.0.0/8')))).toBe(
      'http:// is refused for app.internal: use https://, or add app.internal to WALHOOK_ALLOW_TARGETS' +
        ' by name (a range that it resolves into is not enough)',
    )
    expect(reasonOf(checkTargetUrl('http://8.8.8.8/', nothing))).toBe(
      'http:// is refused for 8.8.8.8: use https://, or add 8.8.8.8 to WALHOOK_ALLOW_TARGETS',
    )
  })
})

test('hostIsAllowedByName compares whole names, without case or trailing dot', () => {
  const allow = allowing('Localhost.,bücher.example,10.0.0.1')
  const hosts: [string, boolean][] = [
    ['localhost', true],
    ['LOCALHOST', true],
    ['localhost.', true],
    ['bücher.example', true],
    ['BÜCHER.example', true],
    ['xn--bcher-kva.example', true],
    ['a.localhost', false],
    ['localhost.example', false],
    ['10.0.0.1', false],
  ]
  for (const [host, isListed] of hosts) {
    expect([host, hostIsAllowedByName(new URL(`https://${host}/`), allow)]).toEqual([host, isListed])
  }
})
