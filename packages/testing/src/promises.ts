import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { REPOSITORY } from './repository.ts'

const COMMENT =
  /^ *\/\/ Promises? (\d+(?:, \d+)*)\n(?: *for \([\s\S]*?\)(?: \{)?\n)* *(?:describe|it)\(\s*(['"`])((?:\\.|(?!\2)[\s\S])*)\2/gm

/** The tests that hold promises of docs/guarantees.md, by file. A comment above each has their numbers: `// Promises 1, 2`. */
export function promiseTests() {
  const files = globSync('{db,packages/*,services/*}/test/**/*.test.ts', { cwd: REPOSITORY })
  return files.toSorted().flatMap((file) =>
    [...readFileSync(join(REPOSITORY, file), 'utf8').matchAll(COMMENT)].map(([, numbers, , title]) => ({
      promises: defined(numbers, 'numbers of promises').split(', ').map(Number),
      /** The script of the root that runs it. */
      command: file.endsWith('.long.test.ts') ? ('test:long' as const) : ('test' as const),
      file,
      /** As the source has it: of `${…}` there is a test for each of several values. */
      title: defined(title, 'title of a test'),
    })),
  )
}

// `npm run promises`, or `npm run promises -- 12` for one promise.
if (import.meta.main) {
  const wanted = process.argv.slice(2).map(Number)
  for (const { promises, command, file, title } of promiseTests())
    if (wanted.length === 0 || promises.some((promise) => wanted.includes(promise)))
      process.stdout.write(`${promises.join(', ')}\t${command}\t${file}\t${title}\n`)
}
