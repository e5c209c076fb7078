import { DeadlineError, within } from '@cashflow/async'
import type { Component, Logger } from '@cashflow/runtime'
import type { TracingSettings } from './settings.ts'
import type { Spans } from './spans.ts'

/** Time for the last spans of a process that stops. Longer, and a collector that is away would delay its restart. */
const FLUSH_MS = 1_000

export interface Tracing extends Component {
  /** Undefined if nothing is traced. */
  readonly spans: Spans | undefined
}

export interface TracingOptions {
  /** The service's name in the traces, such as `cashflow-api`. */
  service: string
  settings: TracingSettings
  logger: Logger
  /** Time that a stop has for the last spans, in milliseconds. Default: 1,000. */
  flushMs?: number
}

/**
 * Starts the export of spans if the settings name a collector. Only then is the SDK loaded. Stop it after all components that
 * begin spans: it exports the last ones, for at most a second.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { service, settings, logger, flushMs = FLUSH_MS } = options
  const { url, headers } = settings
  const name = 'tracing'
  if (url === undefined) return { name, spans: undefined, async start() {}, async stop() {} }
  const { createExport } = await import('./export.ts')
  const { spans, shutDown } = createExport({ service, url, headers, logger })
  logger.info('traces are exported', { url })
  let stopped: Promise<void> | undefined
  return {
    name,
    spans,
    async start() {},
    // An export that fails is logged where it fails.
    stop() {
      stopped ??= within(shutDown(), { deadlineMs: flushMs }).catch((error: unknown) => {
        if (error instanceof DeadlineError)
          logger.warn('the last spans are lost, the collector did not take them in time')
      })
      return stopped
    },
  }
}
