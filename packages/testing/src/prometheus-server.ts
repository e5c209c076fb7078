import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeExit, freePorts, onPorts, PortTakenError, startDaemon, untilReady } from '@cashflow/dev-stack'

export type Prometheus = Awaited<ReturnType<typeof startPrometheus>>

interface PrometheusOptions {
  /** The program, as `fetchPrometheus` finds it. */
  readonly program: string
  /** An empty folder, for configuration and data. */
  readonly dir: string
  /** URLs of admin servers, by the name of their job. */
  readonly targets: Readonly<Record<string, readonly string[]>>
  /** The text of a file of rules. */
  readonly rules: string
}

export interface PrometheusRule {
  readonly name: string
  readonly health: string
  readonly state?: string
  readonly lastError?: string
}

/** An alert that is pending or fires. Its name is the label `alertname`. */
export interface PrometheusAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

/** Values over time of a series, as pairs of seconds since 1970 and the value. */
export interface PrometheusSeries {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

/** Starts a Prometheus that scrapes the targets every second and evaluates the rules. Resolves when it answers. */
export async function startPrometheus({ program, dir, targets, rules }: PrometheusOptions) {
  await writeFile(join(dir, 'cashflow.rules.yml'), rules)
  const jobs = Object.entries(targets).map(([job, urls]) => ({
    job_name: job,
    static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
  }))
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['cashflow.rules.yml'],
    scrape_configs: jobs,
  }
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config)) // Prometheus reads JSON as YAML.

  const start = async ([port]: number[]) => {
    const lines: string[] = []
    const address = `127.0.0.1:${port}`
    const daemon = await startDaemon({
      file: program,
      args: [
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=${address}`,
      ],
      cwd: dir,
      env: {},
      output: { onLine: (line) => lines.push(line) },
    })
    const isUp = async () => (await fetch(`http://${address}/-/ready`).catch(() => undefined))?.ok === true
    if (await untilReady(daemon, isUp, { deadlineMs: 60_000, intervalMs: 50 })) return { daemon, address }
    const exit = await daemon.stop([])
    if (lines.join().includes('address already in use')) throw new PortTakenError('Prometheus', [Number(port)])
    throw new Error(`Prometheus did not start (${describeExit(exit)}):\n${lines.join('\n')}`)
  }
  const { server } = await onPorts(() => freePorts(1), start)

  /** Asks Prometheus's HTTP API. */
  async function ask<Data>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<Data> {
    const response = await fetch(`http://${server.address}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const { status, error, data } = (await response.json()) as { status: string; error?: string; data: Data }
    if (status !== 'success') throw new Error(`Prometheus refused ${path} of ${JSON.stringify(parameters)}: ${error}`)
    return data
  }

  return {
    /** The values of an expression now. */
    query: async (query: string) => (await ask<{ result: { value: [number, string] }[] }>('query', { query })).result,
    /** The values of an expression over a time, in milliseconds since 1970: one each second, fewer over many hours. */
    async queryRange(query: string, { fromMs, toMs }: { fromMs: number; toMs: number }): Promise<PrometheusSeries[]> {
      const stepS = Math.ceil((toMs - fromMs) / 10_000_000) // Prometheus returns at most 11,000 values.
      const range = { start: String(fromMs / 1_000), end: String(toMs / 1_000), step: String(Math.max(1, stepS)) }
      return (await ask<{ result: PrometheusSeries[] }>('query_range', { query, ...range })).result
    },
    rules: async () => {
      const { groups } = await ask<{ groups: { rules: PrometheusRule[] }[] }>('rules')
      return groups.flatMap(({ rules: some }) => some)
    },
    alerts: async () => (await ask<{ alerts: PrometheusAlert[] }>('alerts')).alerts,
    stop: () => server.daemon.stop([{ signal: 'SIGTERM', patienceMs: 10_000 }]),
  }
}
