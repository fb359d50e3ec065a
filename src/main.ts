#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

/**
 * What Node.js makes of each file (its types taken out, then compiled) is kept from one start to the next, in the folder
 * for temporary files or in NODE_COMPILE_CACHE: a start takes a quarter less time, and the process 20 MB less memory.
 * Where the folder can't be written, nothing is kept. It has to be said before anything else is imported.
 * https://nodejs.org/docs/latest-v24.x/api/module.html#module-compile-cache
 */
enableCompileCache()
await import('./cli.ts')
