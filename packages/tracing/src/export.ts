import { createCondition, INSTANCE, type Logger, redactedErrorMessage, VERSION, visible } from '@cashflow/runtime'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import { createSpans, type Spans } from './spans.ts'

/** Spans that wait for their export. Later ones are lost, so that a slow collector costs at most about 10 MB. */
const QUEUE_MAX = 4_096
/** Small: the spans of an export are serialised at once, and those that wait for it cost the garbage collector. */
const EXPORT_MAX = 128
const EXPORT_EVERY_MS = 1_000
const EXPORT_TIMEOUT_MS = 5_000
/** Links of a batch. It has no more members. */
const LINKS_MAX = 1_024
const REASON_MAX = 200

/** The spans of this process, exported in the background as OTLP/JSON. */
export function createExport({
  service,
  url,
  headers,
  logger,
}: {
  service: string
  url: string
  headers: Readonly<Record<string, string>>
  logger: Logger
}): { spans: Spans; shutDown: () => Promise<void> } {
  const losing = createCondition(logger, {
    message: 'spans are lost, traces have gaps',
    ended: 'spans are exported again',
  })
  const otlp = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: EXPORT_TIMEOUT_MS,
    // Verified also with NODE_TLS_REJECT_UNAUTHORIZED=0: the headers may have a secret.
    httpAgentOptions: { keepAlive: true, rejectUnauthorized: true },
    // A stop exports the whole queue at once.
    concurrencyLimit: QUEUE_MAX / EXPORT_MAX + 1,
  })
  const exporter: SpanExporter = {
    export: (spans, done) =>
      otlp.export(spans, (result) => {
        if (result.code === 0) losing.ended()
        else losing.holds({ spans: spans.length, reason: reasonOf(result.error) })
        done(result)
      }),
    shutdown: () => otlp.shutdown(),
    forceFlush: () => otlp.forceFlush(),
  }
  const ignore = () => {}
  const warn = (message: string) => {
    if (message.startsWith('Dropped ')) losing.holds({ reason: message })
  }
  // The SDK has no other way to tell that its queue is full. It reports failed exports here too, with the collector's answer.
  diag.setLogger({ error: ignore, warn, info: ignore, debug: ignore, verbose: ignore }, DiagLogLevel.WARN)
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.namespace': 'cashflow',
      'service.instance.id': INSTANCE,
      'service.version': VERSION,
    }),
    sampler: new AlwaysOnSampler(),
    spanLimits: { linkCountLimit: LINKS_MAX },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: QUEUE_MAX,
        maxExportBatchSize: EXPORT_MAX,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  })
  return { spans: createSpans(provider.getTracer('cashflow', VERSION)), shutDown: () => provider.shutdown() }
}

/** A collector may answer with a page of HTML. */
function reasonOf(error: Error | undefined): string {
  return visible(redactedErrorMessage(error ?? 'no reason given')).slice(0, REASON_MAX)
}
