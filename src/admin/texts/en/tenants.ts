/** Tenants, and their own pages. */
export const tenants = {
  tenants: {
    tenant: 'Tenant',
    of: (tenant: string) => `Tenant ${tenant}`,
    only: (tenant: string) => `Showing only tenant “${tenant}”.`,
    all: 'Show all',
    field: 'Tenant',
    fieldHint:
      'This webhook receives events of this tenant only; leave it empty for all. It cannot be changed later.',
    tokensLead: 'A token lets its holder log in here and call the API.',
    administrator: 'Administrator',
    open: 'Open Couplings',
    openNow: 'Open',
    linkOver: 'This link has expired',
    linkOverWhat: 'It was used before, or is too old. Open Couplings again from your application.',
    noWebhooks: 'You have no webhooks yet.',
    allWell: 'All webhooks work.',
    disabled:
      'Disabled: walhook sends nothing to these webhooks. Fix their receivers, then activate them on the Couplings page.',
    failing:
      'Failing: the receivers of these webhooks accept no requests now. Open one to see the responses; walhook retries by itself.',
    figures: {
      webhooks: 'Webhooks',
      webhooksHint: 'Active and inactive.',
      waiting: 'Pending',
      waitingHint: 'Events still to be delivered.',
      dead: 'Dead letters',
      deadHint: 'Events whose attempts all failed. The log of their webhook can resend them.',
    },
  },
}
