import { alerts } from './en/alerts.ts'
import { bulk } from './en/bulk.ts'
import { catalogue } from './en/catalogue.ts'
import { log } from './en/log.ts'
import { overview } from './en/overview.ts'
import { shared } from './en/shared.ts'
import { signIn } from './en/sign-in.ts'
import { system } from './en/system.ts'
import { tenants } from './en/tenants.ts'
import { webhooks } from './en/webhooks.ts'

export const en = {
  ...shared,
  ...webhooks,
  ...system,
  ...log,
  ...alerts,
  ...tenants,
  ...signIn,
  ...overview,
  ...bulk,
  ...catalogue,
}

/** All texts of the pages. Another language needs every key of the English. */
export type Texts = typeof en
