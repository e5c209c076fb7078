import { readFileSync, writeFileSync } from 'node:fs'
import { PROBLEMS } from '../src/problem-types.ts'

const PAGE = new URL('../../../docs/problems.md', import.meta.url)
const ROWS = /^\| Status, `code`.*\n(?:\|.*\n)*/m
const HEAD = ['Status, `code`', '`retryable`', 'When', 'What the client does']

/** The table of docs/problems.md, from the problems in the code. */
export function problemRows(): string {
  const cells = Object.entries(PROBLEMS).map(([code, { status, retryable, when, remedy }]) => {
    return [`${status} \`${code}\``, String(retryable), when, remedy]
  })
  const widths = HEAD.map((_name, column) => Math.max(...[HEAD, ...cells].map((row) => row[column]?.length ?? 0)))
  const line = (row: string[], fill = ' ') =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |\n`
  return [line(HEAD), line(['', '', '', ''], '-'), ...cells.map((row) => line(row))].join('')
}

/** The table that docs/problems.md has. */
export function documentedRows(): string {
  return ROWS.exec(readFileSync(PAGE, 'utf8'))?.[0] ?? ''
}

// `node services/api/test/problem-rows.ts` writes the table into the page.
if (import.meta.main) writeFileSync(PAGE, readFileSync(PAGE, 'utf8').replace(ROWS, problemRows))
