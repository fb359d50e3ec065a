/** The overview of one webhook. */
export const overview = {
  overview: {
    title: 'Overview',
    successDay: 'Success, 24 hours',
    successWeek: 'Success, 7 days',
    ofRequests: (failed: string, all: string) => `${failed} of ${all} requests failed.`,
    responseTime: 'Response time, 24 hours',
    responseTimeHint: 'p50 / p95: 50% and 95% of responses took no longer than this.',
    noResponses: 'No responses in this period.',
    responseTimeLabel: (p50: string, p95: string) => `p50 ${p50}, p95 ${p95}.`,
    p50: 'p50',
    p95: 'p95',
    oldest: 'Oldest pending',
    oldestAtLeast: 'Very many events are pending. The oldest may be older than this.',
    noPending: 'Nothing is pending',
    requestsDay: 'Requests per hour, 24 hours',
    requestsWeek: 'Requests per 6 hours, 7 days',
    responseTimeDay: 'Response time, 24 hours',
    responseTimeWeek: 'Response time, 7 days',
  },
}
