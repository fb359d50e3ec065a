import type { Texts } from './en.ts'
import { alerts } from './nl/alerts.ts'
import { bulk } from './nl/bulk.ts'
import { catalogue } from './nl/catalogue.ts'
import { log } from './nl/log.ts'
import { overview } from './nl/overview.ts'
import { shared } from './nl/shared.ts'
import { signIn } from './nl/sign-in.ts'
import { system } from './nl/system.ts'
import { tenants } from './nl/tenants.ts'
import { webhooks } from './nl/webhooks.ts'

/** The texts in Dutch, in the files and the order of `en/`. */
export const nl: Texts = {
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
