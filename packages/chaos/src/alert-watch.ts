import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { rulesFile } from '@cashflow/monitoring'
import { startPrometheus } from '@cashflow/testing'
import type { ServiceRole } from './service.ts'

/** Divides the times of the rules: an hour lasts a minute. */
const SPEED = 60
/** Samples come every second, or less often in a long run. A longer gap means that the alert has ended. */
const GAP_STEPS = 2

/** An alert that fired. Times are in milliseconds since 1970. */
export interface FiredAlert {
  readonly name: string
  /** Labels of the alert and of its rule, without its name. */
  readonly labels: Readonly<Record<string, string>>
  readonly fromMs: number
  readonly toMs: number
}

export interface AlertWatchOptions {
  /** Prometheus's program. */
  readonly program: string
  /** The folder in which its own is made. */
  readonly dir: string
  readonly adminUrls: Readonly<Record<ServiceRole, readonly string[]>>
}

export type AlertWatch = Awaited<ReturnType<typeof startAlertWatch>>

/** Starts a Prometheus that scrapes all services of a run, with the alert rules of this repository, 60 times as fast. */
export async function startAlertWatch({ program, dir: parent, adminUrls }: AlertWatchOptions) {
  const dir = join(parent, 'prometheus')
  await mkdir(dir)
  const targets = Object.fromEntries(Object.entries(adminUrls).map(([role, urls]) => [`cashflow-${role}`, urls]))
  const prometheus = await startPrometheus({ program, dir, targets, rules: rulesFile({ speed: SPEED }) })
  return {
    /** The alerts that fire now, or will soon. */
    now: prometheus.alerts,
    /** The alerts that have fired in a span of time. */
    async fired(fromMs: number, toMs: number): Promise<FiredAlert[]> {
      const all = await prometheus.queryRange('ALERTS{alertstate="firing"}', { fromMs, toMs })
      return all.flatMap(({ metric, values }) => {
        const { __name__: _, alertname: name = '', alertstate: __, ...labels } = metric
        return spans(values.map(([at]) => at)).map(([from, to]) => ({
          ...{ name, labels },
          fromMs: from * 1_000,
          toMs: to * 1_000,
        }))
      })
    },
    stop: prometheus.stop,
  }
}

/** Joins the times of samples, in order, to spans without a gap. */
function spans(times: readonly number[]): [from: number, to: number][] {
  const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  const step = Math.min(...steps, Number.POSITIVE_INFINITY)
  const found: [number, number][] = []
  for (const time of times) {
    const last = found.at(-1)
    if (last && time - last[1] <= GAP_STEPS * step) last[1] = time
    else found.push([time, time])
  }
  return found
}
