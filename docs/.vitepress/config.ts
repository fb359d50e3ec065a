import { defineConfig } from 'vitepress'

const pages = (folder: string, ...names: [text: string, file: string][]) =>
  names.map(([text, file]) => ({ text, link: `/docs/${folder}/${file}` }))

/** The documents as a site. README is its first page, so that links lead to the same file here and in the repository. */
export default defineConfig({
  title: 'walhook',
  description: 'Signed webhooks for every committed change in Postgres, read from the write-ahead log',
  srcDir: '..',
  srcExclude: ['**/node_modules/**', 'src/**', 'playground/**', 'data/**', 'dist/**', 'docker/**', 'ops/**'],
  rewrites: { 'README.md': 'index.md' },
  outDir: './.vitepress/dist',
  cacheDir: './.vitepress/cache',
  lastUpdated: false,
  // Files of the repository that are no pages.
  ignoreDeadLinks: [/LICENSE$/],
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/docs/guide/install' },
      { text: 'Reference', link: '/docs/reference/configuration' },
      { text: 'Explanation', link: '/docs/explain/how-it-works' },
      { text: 'Changelog', link: '/CHANGELOG' },
    ],
    sidebar: [
      { text: 'walhook', link: '/' },
      {
        text: 'Guide',
        items: pages(
          'guide',
          ['Install', 'install'],
          ['Kubernetes', 'kubernetes'],
          ['Mapping', 'mapping'],
          ['Pages for admins', 'pages'],
          ['Receiving webhooks', 'receiving'],
          ['The command line', 'command-line'],
          ['Clients for programs', 'clients'],
          ['Filters', 'filters'],
          ['Alerts', 'alerts'],
          ['Webhooks as code', 'webhooks-as-code'],
          ['Tenants', 'tenants'],
          ['Log in with OpenID', 'sign-in'],
          ['Operating', 'operating'],
          ['Tracing', 'tracing'],
          ['Sizing', 'sizing'],
          ['Managed Postgres', 'managed-postgres'],
          ['Behind a reverse proxy', 'reverse-proxy'],
          ['Personal data', 'personal-data'],
          ['Upgrading', 'upgrading'],
        ),
      },
      {
        text: 'Alerts',
        collapsed: true,
        items: pages(
          'guide/alerts',
          ['Absent', 'absent'],
          ['NotReady', 'not-ready'],
          ['NotCapturing', 'not-capturing'],
          ['CaptureNeedsOperator', 'capture-needs-operator'],
          ['GapOpen', 'gap-open'],
          ['MappingLost', 'mapping-lost'],
          ['WalHeldBack', 'wal-held-back'],
          ['CaptureLagging', 'capture-lagging'],
          ['ChangesParked', 'changes-parked'],
          ['TableTruncated', 'table-truncated'],
          ['DeliveriesLate', 'deliveries-late'],
          ['WebhooksFailing', 'webhooks-failing'],
          ['WebhookDisabled', 'webhook-disabled'],
          ['DeadLetters', 'dead-letters'],
          ['EventLoopDelayed', 'event-loop-delayed'],
          ['VersionsDiffer', 'versions-differ'],
        ),
      },
      {
        text: 'Reference',
        items: pages(
          'reference',
          ['Configuration', 'configuration'],
          ['Commands', 'cli'],
          ['API', 'api'],
          ['Problems', 'problems'],
          ['Metrics', 'metrics'],
        ),
      },
      {
        text: 'Explanation',
        items: pages(
          'explain',
          ['How it works', 'how-it-works'],
          ['Order and delivery', 'order-and-delivery'],
          ['What a WAL reader must survive', 'surviving'],
          ['Performance', 'performance'],
          ['Scaling', 'scaling'],
          ['Comparison', 'comparison'],
        ),
      },
      {
        text: 'Contributing',
        items: [
          { text: 'Contributing', link: '/CONTRIBUTING' },
          { text: 'Architecture', link: '/ARCHITECTURE' },
          { text: 'Decisions', link: '/docs/decisions/' },
          { text: 'Traps and their tests', link: '/test/traps' },
          { text: 'Guards and their tests', link: '/test/guards' },
          { text: 'Security', link: '/SECURITY' },
        ],
      },
    ],
  },
})
