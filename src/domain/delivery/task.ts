/**
 * The states of an event at a webhook, in the memory of its share's holder. All other events are in the log, beyond the
 * position of their stream, or rows that are set aside.
 *
 * | state         | ended by                                          | next                                  | after a crash |
 * | ------------- | ------------------------------------------------- | ------------------------------------- | ------------- |
 * | behind        | the settlement of the event before it             | checking or ready; setting aside if that one failed | read again |
 * | checking      | the check whether its entity is blocked, or superseded | ready, setting aside, superseded  | read again |
 * | ready         | a free request, once the holder may send so far   | sending                               | read again |
 * | sending       | the end of the attempt                            | settling                              | it may have arrived: set aside until no request of the dead holder can be in flight |
 * | settling      | the commit with its attempt                       | done; or a row that waits for its retry | as in sending, unless committed |
 * | setting aside | the commit of its row                             | a row, behind or due                  | read again, and set aside again |
 * | superseded    | the commit that says so                           | done                                  | none |
 * | forgotten     | nothing: it was prefetched in vain                | read again                            | none |
 */
export type TaskState =
  | 'behind'
  | 'checking'
  | 'ready'
  | 'sending'
  | 'settling'
  | 'setting aside'
  | 'superseded'
  | 'forgotten'

/** Known to this process only: it may be dropped and read again. */
export function isUnsent(state: TaskState): boolean {
  return state === 'behind' || state === 'checking' || state === 'ready'
}
