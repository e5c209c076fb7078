import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type Registry } from '@prometheus-io/client'
import { VERSION } from '../version.ts'
import type { LoopWatch } from './loop-watch.ts'

/** Time of one measurement of the event loop. A second scraper gets the same figures within it. */
const DELAY_WINDOW_MS = 10_000
const DELAY_RESOLUTION_MS = 20
const QUANTILES = [0.5, 0.99, 1]

/** Registers what every process shows of itself. */
export function registerProcess(registry: Registry, role: string, watch: LoopWatch): void {
  const registers = [registry]
  new Gauge({
    name: 'cashflow_build_info',
    help: 'Always 1. Its labels name the service, its version and that of Node.',
    // Prometheus Operator gives each target a label `service`.
    labelNames: ['role', 'version', 'node'],
    registers,
  }).set({ role, version: VERSION, node: process.versions.node }, 1)
  new Gauge({
    name: 'cashflow_loop_silent_seconds',
    help: 'Time since a loop has turned or begun a wait. /livez fails at 120.',
    labelNames: ['loop'],
    registers,
    collect() {
      this.reset()
      for (const { name, silentMs } of watch.ages()) this.set({ loop: name }, silentMs / 1_000)
    },
  })
  registerEventLoop(registers)
}

function registerEventLoop(registers: Registry[]): void {
  const histogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  histogram.enable()
  let measuredAt = Number.NEGATIVE_INFINITY
  new Gauge({
    name: 'cashflow_event_loop_delay_seconds',
    help: 'Delay of the event loop since an earlier scrape, at least 10 seconds. The quantile 1 is the maximum.',
    labelNames: ['quantile'],
    registers,
    collect() {
      const now = performance.now()
      if (now - measuredAt < DELAY_WINDOW_MS || histogram.count === 0) return
      measuredAt = now
      // The timer that measures is itself due after its resolution.
      const seconds = (quantile: number) =>
        Math.max(0, histogram.percentile(quantile * 100) / 1e9 - DELAY_RESOLUTION_MS / 1e3)
      for (const quantile of QUANTILES) this.set({ quantile }, seconds(quantile))
      histogram.reset()
    },
  })
}
