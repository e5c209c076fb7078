import { createHash, randomBytes } from 'node:crypto'
import { access, link, open, rm } from 'node:fs/promises'
import type { Head } from '@cashflow/db/operator'
import { END, FIRST_LINE, lineOf, unusable } from './heads-format.ts'

const BYTES_BUFFERED = 1_000_000

export type HeadsWriter = Awaited<ReturnType<typeof createHeadsWriter>>

/**
 * Writes heads of payments to a file. The file has its name once it is complete and on the disk.
 *
 * @param source identifies the database
 * @throws Error if the file exists: it may be the only copy of an earlier export
 */
export async function createHeadsWriter(path: string, source: string) {
  if (await exists(path)) throw new Error(`The file ${path} exists already.`)
  const unfinished = `${path}.${randomBytes(4).toString('hex')}.unfinished`
  const file = await open(unfinished, 'wx').catch(unusable(path, 'written'))
  const hash = createHash('sha256')
  let heads = 0
  let buffered = `${FIRST_LINE}${JSON.stringify({ source, begun_at: new Date() })}\n`

  async function flush(): Promise<void> {
    hash.update(buffered)
    await file.writeFile(buffered)
    buffered = ''
  }

  return {
    async write(head: Head): Promise<void> {
      heads += 1
      buffered += lineOf(head)
      if (buffered.length >= BYTES_BUFFERED) await flush()
    },
    /** @returns the number of heads in the file */
    async finish(counts: object): Promise<number> {
      await flush()
      await file.writeFile(`${END}${JSON.stringify({ ...counts, sha256: hash.digest('hex') })}\n`)
      await file.sync()
      await file.close()
      // Not by renaming it: that would replace a file that has appeared since.
      await link(unfinished, path)
      return heads
    },
    /** Removes the name that the file had until it was finished. */
    async discard(): Promise<void> {
      await file.close()
      await rm(unfinished, { force: true })
    },
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
