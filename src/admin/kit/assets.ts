import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Hono } from 'hono'

const own = (name: string) => readFileSync(new URL(`../assets/${name}`, import.meta.url))
const ofPackage = (path: string) => readFileSync(fileURLToPath(import.meta.resolve(path)))

/** A file of the pages. Its address depends on its content, so that browsers cache it until it changes. */
type Asset = {
  readonly name: string
  readonly type: string
  readonly content: Uint8Array<ArrayBuffer>
  readonly tag: string
}

const script = 'text/javascript; charset=utf-8'
const assets: readonly Asset[] = [
  asset('walhook.css', 'text/css; charset=utf-8', own('walhook.css')),
  asset('walhook.js', script, own('walhook.js')),
  asset('htmx.js', script, ofPackage('htmx.org/dist/htmx.min.js')),
]

function asset(name: string, type: string, content: Buffer): Asset {
  return {
    name,
    type,
    content: new Uint8Array(content),
    tag: createHash('sha256').update(content).digest('base64url').slice(0, 16),
  }
}

/** The address of a file of the pages. */
export function assetUrl(name: 'walhook.css' | 'walhook.js' | 'htmx.js'): string {
  return `/assets/${name}?v=${assets.find(one => one.name === name)!.tag}`
}

/** Serves the files of the pages, which are public. */
export function assetRoutes(): Hono {
  const app = new Hono()
  for (const { name, type, content, tag } of assets)
    app.get(`/assets/${name}`, c => {
      const etag = `"${tag}"`
      c.header('etag', etag)
      // Another `v` is of another version of walhook, and is not cached.
      const isNamed = c.req.query('v') === tag
      c.header('cache-control', isNamed ? 'public, max-age=31536000, immutable' : 'no-cache')
      if (c.req.header('if-none-match') === etag) return c.body(null, 304)
      return c.body(content, 200, { 'content-type': type })
    })
  return app
}
