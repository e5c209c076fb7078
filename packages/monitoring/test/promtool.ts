import { execFile } from 'node:child_process'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'

const run = promisify(execFile)
export const PROMETHEUS_FOLDER = join(REPOSITORY, 'deploy/prometheus')

/** An alert that is expected to fire. Labels are those of the rule and of its expression. */
export interface Firing {
  readonly labels: Readonly<Record<string, string>>
  readonly summary: string
}

export interface AlertTest {
  /** Time between two samples, such as `15s`. */
  readonly interval: string
  /** Samples by series, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>
  /** What fires at these times, by the name of the alert. */
  readonly expected: readonly { readonly at: string; readonly alert: string; readonly firing: readonly Firing[] }[]
}

/** Evaluates the rules once for each sample of these series. Rejects with promtool's words if other alerts fire than expected. */
export async function testRules(promtool: string, { interval, series, expected }: AlertTest): Promise<void> {
  // Prometheus reads JSON as YAML.
  const file = {
    rule_files: [join(PROMETHEUS_FOLDER, 'cashflow.rules.yml')],
    evaluation_interval: interval,
    // Otherwise promtool evaluates the groups of one time in any order, and alerts may see the records of the step before.
    group_eval_order: ['cashflow-records', 'cashflow-alerts'],
    tests: [
      {
        interval,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: expected.map(({ at, alert, firing }) => ({
          eval_time: at,
          alertname: alert,
          exp_alerts: firing.map(({ labels, summary }) => ({
            exp_labels: labels,
            exp_annotations: { summary, runbook: `docs/alerts.md#${alert.toLowerCase()}` },
          })),
        })),
      },
    ],
  }
  await withFile('alerts.test.yml', JSON.stringify(file), (path) => promtoolSays(promtool, ['test', 'rules', path]))
}

/** Parses expressions. Rejects with promtool's words for those that are none. */
export async function parse(promtool: string, expressions: readonly string[]): Promise<void> {
  const rules = expressions.map((expr, index) => ({ record: `expression:${index}`, expr }))
  const file = JSON.stringify({ groups: [{ name: 'expressions', rules }] })
  await withFile('expressions.rules.yml', file, (path) => promtoolSays(promtool, ['check', 'rules', path]))
}

export async function promtoolSays(promtool: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(promtool, args, { maxBuffer: 16 * 1024 * 1024 })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`, { cause: error })
  }
}

async function withFile(name: string, text: string, use: (path: string) => Promise<unknown>): Promise<void> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'cashflow-promtool-'))
  const path = join(folder.path, name)
  await writeFile(path, text)
  await use(path)
}
