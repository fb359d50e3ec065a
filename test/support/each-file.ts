import { afterAll } from 'vitest'
import { putAway } from './made-databases.ts'

// Registered before all that a file registers, so it runs after every `afterAll` of the file.
// biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from this parameter
afterAll(async ({}, file) => {
  await putAway(file)
})
