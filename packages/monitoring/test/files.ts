import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REPOSITORY } from '@cashflow/testing'
import { METRICS } from '../src/metrics.ts'

const FILES = {
  rules: 'deploy/prometheus/cashflow.rules.yml',
  dashboard: 'deploy/grafana/cashflow.json',
  runbooks: 'docs/alerts.md',
  operations: 'docs/operations.md',
} as const

/** Reads a file of the repository that this package makes or checks. */
export function read(name: keyof typeof FILES): string {
  return readFileSync(join(REPOSITORY, FILES[name]), 'utf8')
}

interface Target {
  readonly refId: string
  readonly expr: string
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig?: {
    readonly defaults: { readonly thresholds: { readonly steps: readonly { readonly value: number | null }[] } }
  }
  readonly targets?: readonly Target[]
}

interface Dashboard {
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
}

export function dashboard(): Dashboard {
  return JSON.parse(read('dashboard')) as Dashboard
}

/** Expressions of the dashboard, with a duration for Grafana's variable. */
export function dashboardExpressions(): string[] {
  const { panels, annotations } = dashboard()
  const all = [...panels.flatMap(({ targets = [] }) => targets), ...annotations.list]
  return all.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m'))
}

const KNOWN: ReadonlySet<string> = new Set(Object.values(METRICS))

/** Names of our metrics in a text that `METRICS` lacks. The series of a histogram have its name, and an ending. */
export function unknownMetrics(text: string): string[] {
  const named = text.match(/\bcashflow_\w+/g) ?? []
  return named.filter((name) => !KNOWN.has(name) && !KNOWN.has(name.replace(/_(bucket|sum|count)$/, '')))
}

/** Facts of the database in an expression that stand for more than one process: each process exports all of them. */
export function summedFacts(expr: string): string[] {
  const facts = [...expr.matchAll(/(?:(\w+) *(?:by *\([^)]*\) *)?\(\s*(?:increase\()?)?\b(cashflow_db_\w+)/g)]
  return facts.filter(([, outer = '']) => !['max', 'min', 'absent'].includes(outer)).map(([found]) => found)
}
