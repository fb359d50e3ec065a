/**
 * The states of an event at a webhook, in the memory of the holder of its share. What is not in memory is in the log,
 * beyond the place of its stream, or a row that is set aside.
 *
 * | state         | who moves it on                                   | to                                    | a crash in it |
 * | ------------- | ------------------------------------------------- | ------------------------------------- | ------------- |
 * | behind        | the settlement of the one before it               | checking or ready; or setting aside, where that one failed | as if it was never read |
 * | checking      | the answer whether its entity is blocked, or what supersedes it | ready, setting aside, superseded | as if it was never read |
 * | ready         | a free place, once the holder may send so far     | sending                               | as if it was never read |
 * | sending       | the attempt's end                                 | settling                              | it may have arrived: it is set aside until nothing that the dead holder sent is under way |
 * | settling      | the commit with its attempt                       | done; or a row that waits for its retry | the same, unless the commit was made |
 * | setting aside | the commit of its row                             | a row behind, or due                  | it is read again, and set aside again |
 * | superseded    | nobody: the commit that says so is made           | done                                  | none |
 * | forgotten     | nobody: it was read ahead in vain                 | it is read again                      | none |
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

/** What nobody outside this process has seen of it: it may be forgotten, and read again. */
export function isUnsent(state: TaskState): boolean {
  return state === 'behind' || state === 'checking' || state === 'ready'
}
