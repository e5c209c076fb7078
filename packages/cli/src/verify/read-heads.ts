import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Head } from '@cashflow/db/operator'
import * as z from 'zod'
import { END, FIRST_LINE, headOf, unusable } from './heads-format.ts'

/** The last line is shorter than this. */
const END_BYTES_MAX = 4_096

const FIRST = z.object({ source: z.string(), begun_at: z.iso.datetime() })
const LAST = z.object({ payments: z.int(), findings: z.int(), sha256: z.string() })

/** A file that an earlier run of `verify --export` wrote. */
export interface HeadsFile {
  /** Identifies the database. */
  readonly source: string
  readonly begunAt: Date
  /** Number of findings of the run that wrote it. */
  readonly findings: number
  /** The heads, in the order of the payments' ids. */
  heads(): AsyncGenerator<Head>
}

/**
 * Opens a file of heads, and reads it once to see that it is whole.
 *
 * @throws Error if it cannot be read, is damaged, or is another kind of file
 */
export async function openHeads(path: string): Promise<HeadsFile> {
  const file = await open(path).catch(unusable(path, 'read'))
  try {
    const last = await readLast(file, path)
    const { first, sha256 } = await digest(path, last.at)
    const begin = parsed(FIRST, first.startsWith(FIRST_LINE) ? first.slice(FIRST_LINE.length) : '')
    if (!begin) throw new Error(`${path} is no file that verify --export of this version wrote.`)
    if (sha256 !== last.sha256) throw new Error(`${path} is damaged: its SHA-256 is not the one in its last line.`)
    return {
      source: begin.source,
      begunAt: new Date(begin.begun_at),
      findings: last.findings,
      heads: () => readLines(path, last.at),
    }
  } finally {
    await file.close()
  }
}

/** Reads the last line, and where it begins. */
async function readLast(file: FileHandle, path: string): Promise<{ at: number; findings: number; sha256: string }> {
  const { size } = await file.stat()
  const from = Math.max(0, size - END_BYTES_MAX)
  const reading = file.read(Buffer.alloc(END_BYTES_MAX), 0, END_BYTES_MAX, from)
  const { buffer, bytesRead } = await reading.catch(unusable(path, 'read'))
  const text = buffer.toString('latin1', 0, bytesRead)
  const at = text.lastIndexOf(`\n${END}`) + 1
  const last = at > 0 && text.endsWith('\n') ? parsed(LAST, text.slice(at + END.length)) : undefined
  if (!last) throw new Error(`${path} has no last line: it is not whole, or no file that verify --export wrote.`)
  return { ...last, at: from + at }
}

function parsed<Type>(schema: z.ZodType<Type>, json: string): Type | undefined {
  try {
    return schema.parse(JSON.parse(json))
  } catch {
    return undefined
  }
}

async function digest(path: string, bytes: number): Promise<{ first: string; sha256: string }> {
  const hash = createHash('sha256')
  let first: string | undefined
  for await (const chunk of createReadStream(path, { end: bytes - 1, highWaterMark: 1_000_000 })) {
    first ??= (chunk as Buffer).toString('latin1', 0, END_BYTES_MAX).split('\n', 1)[0]
    hash.update(chunk as Buffer)
  }
  return { first: first ?? '', sha256: hash.digest('hex') }
}

async function* readLines(path: string, bytes: number): AsyncGenerator<Head> {
  let rest = ''
  let before = ''
  let isFirst = true
  for await (const chunk of createReadStream(path, { end: bytes - 1, encoding: 'latin1', highWaterMark: 1_000_000 })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (isFirst) {
        isFirst = false
        continue
      }
      const head = headOf(line)
      if (!head || head.id <= before)
        throw new Error(`${path} is damaged: it has a line that is no payment's, or not in order.`)
      before = head.id
      yield head
    }
  }
}
