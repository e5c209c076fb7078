import { getSystemErrorMessage } from 'node:util'
import type { Head } from '@cashflow/db/operator'

// A file of heads is text. Its first line has its version and where it comes from. Then comes a line for each payment, in
// the order of their ids, and last a line with the counts and the SHA-256 of all before it.

export const FIRST_LINE = 'cashflow heads 1 '
export const END = 'end '

const LINE = /^([0-9a-f-]{36}) (\d{1,9}) ([0-9a-f]{64}) ([su]) ([0-9a-f]{64}|-)$/

/** The line of a payment: id, sequence of its last event, hash of that event, whether its events are sealed, and details. */
export function lineOf({ id, sequence, hash, isSealed, details }: Head): string {
  return `${id} ${sequence} ${hash.toString('hex')} ${isSealed ? 's' : 'u'} ${details ?? '-'}\n`
}

/** Undefined for any other line. */
export function headOf(line: string): Head | undefined {
  const [, id, sequence, hash, sealed, details] = LINE.exec(line) ?? []
  if (id === undefined || hash === undefined || details === undefined) return undefined
  return {
    id,
    sequence: Number(sequence),
    hash: Buffer.from(hash, 'hex'),
    isSealed: sealed === 's',
    details: details === '-' ? null : details,
  }
}

/** Names the file that the system does not let read or write, in place of the system call. */
export function unusable(path: string, act: 'read' | 'written') {
  return (error: NodeJS.ErrnoException): never => {
    if (error.errno === undefined) throw error
    throw new Error(`The file ${path} cannot be ${act}: ${getSystemErrorMessage(error.errno)}.`, { cause: error })
  }
}
