import { styleText } from 'node:util'
import { ageText, jsonLine, visible } from '@cashflow/runtime'
import Table from 'cli-table3'

type Value = string | number | boolean | null | Date | readonly string[] | Readonly<Record<string, unknown>>

/** Facts about one thing, by their names in snake_case. */
export type Fields = Readonly<Record<string, Value>>

export interface ShowOptions {
  readonly json: boolean
  /** The time that ages are counted from. */
  readonly now?: Date
  /** What people read in place of an empty list. Without it they read nothing. */
  readonly none?: string | undefined
}

/**
 * Formats facts as lines. For people: the facts of one thing one below the other, those of a list as a table.
 *
 * @param json one JSON object, or of a list one object a line
 */
export function linesOf(facts: Fields | readonly Fields[], { json, now = new Date(), none }: ShowOptions): string[] {
  const list = Array.isArray(facts) ? (facts as readonly Fields[]) : undefined
  if (json) return (list ?? [facts]).map(jsonLine)
  const text = (value: Value) => toText(value, now)
  if (!list) return tableLines(Object.entries(facts as Fields).map(([name, value]) => [visible(name), text(value)]))
  const [first] = list
  if (!first) return none === undefined ? [] : [none]
  const head = Object.keys(first).map((name) => styleText('bold', visible(name)))
  return tableLines([head, ...list.map((fields) => Object.values(fields).map(text))])
}

/** Aligns rows of cells, which have no control characters but those of colours. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const table = new Table({ chars: NO_LINES, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] } })
  table.push(...rows.map((row) => [...row]))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}

const NO_LINES = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
}

function toText(value: Value, now: Date): string {
  if (value === null) return '-'
  if (value instanceof Date) return `${timeText(value)} (${relative(value, now)})`
  if (typeof value !== 'object') return visible(String(value))
  return Array.isArray(value) ? visible(value.join(',')) : jsonLine(value)
}

/** A time. One without a date, such as infinity, is a number. Only a change by hand stores one. */
export function timeText(time: Date): string {
  return Number.isFinite(Number(time)) ? time.toISOString() : String(time)
}

/** The beginning of a text that may be long, for people. */
export function clipped(text: string, max = 100): string {
  return text.length <= max ? text : `${text.slice(0, max).toWellFormed()}…`
}

function relative(time: Date, now: Date): string {
  const ms = now.getTime() - time.getTime()
  return ms < 0 ? `in ${ageText(-ms)}` : `${ageText(ms)} ago`
}
