import type { RunnerTask } from 'vitest/node'

/** What a test file has made on the server of the run. */
export type Made = {
  drop(): Promise<void>
  /** Leaves it there to be looked at, and holds nothing of the server back. */
  keep(): Promise<void>
}

/** Of the file that runs now: files of one process run one after the other. */
export const made = new Set<Made>()

/** At the end of a file: everything is dropped where all tests have passed, and stays where one has failed. */
export async function putAway(file: RunnerTask): Promise<void> {
  const failed = hasFailure(file)
  for (const database of made) await (failed ? database.keep() : database.drop())
  made.clear()
}

function hasFailure(task: RunnerTask): boolean {
  return task.result?.state === 'fail' || ('tasks' in task && task.tasks.some(hasFailure))
}
