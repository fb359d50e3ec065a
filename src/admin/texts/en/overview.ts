/** The overview of one webhook. */
export const overview = {
  overview: {
    title: 'Overview',
    successDay: 'Success, 24 hours',
    successWeek: 'Success, 7 days',
    ofRequests: (failed: string, all: string) => `${failed} of ${all} requests failed.`,
    answer: 'Answer time, 24 hours',
    answerHint: 'p50 / p95: half of the answers, and 95 % of them, took less.',
    noAnswers: 'No answer in this time.',
    answerLabel: (p50: string, p95: string) => `p50 ${p50}, p95 ${p95}.`,
    p50: 'p50',
    p95: 'p95',
    oldest: 'Oldest pending',
    oldestAtLeast: 'Very many events are pending: the oldest may be older.',
    noPending: 'Nothing is pending',
    requestsDay: 'Requests per hour, 24 hours',
    requestsWeek: 'Requests per 6 hours, 7 days',
    answersDay: 'Answer time, 24 hours',
    answersWeek: 'Answer time, 7 days',
  },
}
