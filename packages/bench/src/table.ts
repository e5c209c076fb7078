import { defined } from '@cashflow/async'
import type { Row } from './benchmark.ts'

const HEAD = ['what', 'value', 'unit', 'spread', 'ratio', 'to']
const IS_NUMBER = [false, true, false, true, true, false]

/** Returns the rows as aligned text. A row that only adds another ratio does not repeat its value. */
export function table(rows: readonly Row[]): string {
  const cells = [HEAD, ...rows.map((row, index) => cellsOf(row, rows[index - 1]?.what === row.what))]
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => defined(line[column], 'cell').length)))
  const align = (cell: string, column: number) =>
    IS_NUMBER[column] ? cell.padStart(defined(widths[column], 'width')) : cell.padEnd(defined(widths[column], 'width'))
  return cells.map((line) => line.map(align).join('  ').trimEnd()).join('\n')
}

function cellsOf({ what, value, unit, spread, ratio, ratio_to }: Row, isRepeated: boolean): string[] {
  const range = spread && spread[0] !== spread[1] ? spread.map(number).join(' – ') : ''
  const own = isRepeated ? ['', '', '', ''] : [what, number(value), unit, range]
  return [...own, ratio === undefined ? '' : ratio.toFixed(2), ratio_to ?? '']
}

/** Formats a number with three significant digits or more: 12,345, 123, 12.3, 1.23. */
function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
