import { couplingsPages } from './couplings.ts'
import type { Page } from './page.ts'

/** Everything for people behind the log-in. */
export const pages: readonly Page[] = [...couplingsPages]
