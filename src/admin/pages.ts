import { couplingEditPages } from './coupling-edit.ts'
import { couplingTestPages } from './coupling-test.ts'
import { couplingsPages } from './couplings.ts'
import type { Page } from './page.ts'

/** Everything for people behind the log-in. An address in words comes before one with an id. */
export const pages: readonly Page[] = [...couplingsPages, ...couplingEditPages, ...couplingTestPages]
