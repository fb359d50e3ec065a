/** Tenants, and their own pages. */
export const tenants = {
  tenants: {
    tenant: 'Tenant',
    of: (tenant: string) => `Tenant ${tenant}`,
    only: (tenant: string) => `Showing only the tenant “${tenant}”.`,
    all: 'Show all',
    field: 'Tenant',
    fieldHint:
      'Leave it empty for everybody’s entities. Otherwise only those of this tenant. It cannot be changed later.',
    tokensLead: 'A token lets its holder log in here and call the API.',
    administrator: 'Administrator',
    open: 'Open the couplings',
    openNow: 'Open',
    linkOver: 'This page must be opened again',
    linkOverWhat: 'Its link was used, or its time is over. Open it again from the application that led here.',
    noWebhooks: 'You have no webhooks yet.',
    allWell: 'All webhooks work.',
    disabled: 'Disabled: these webhooks are sent nothing until somebody activates them.',
    failing: 'Failing: the receivers of these webhooks accept nothing at the moment.',
    figures: {
      webhooks: 'Webhooks',
      webhooksHint: 'Active or not.',
      waiting: 'Pending',
      waitingHint: 'Deliveries that are in flight or wait.',
      dead: 'Dead letters',
      deadHint: 'Deliveries that were given up. The page of their event can resend them.',
    },
  },
}
