import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** A span as a collector has received it. */
export interface CollectedSpan {
  /** The process's `service.name`. */
  readonly service: string
  readonly name: string
  /** SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL. */
  readonly kind: string
  readonly traceId: string
  readonly spanId: string
  /** '' for the root of a trace. */
  readonly parentId: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** Attributes of its process. */
  readonly resource: Readonly<Record<string, unknown>>
  /** Ids of the linked spans. */
  readonly links: readonly string[]
  readonly isError: boolean
  readonly startMs: number
  readonly endMs: number
}

export type Collector = Awaited<ReturnType<typeof startCollector>>

const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']
const ERROR = 2

/** Starts a collector that keeps the spans that it receives as OTLP/JSON. `answer` replaces its answer. */
export async function startCollector(answer?: (response: ServerResponse) => void) {
  const spans: CollectedSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer(async (request, response) => {
    headers.push(request.headers)
    const body = (await json(request)) as Exported
    if (request.url === '/v1/traces') spans.push(...readSpans(body))
    if (answer) return answer(response)
    response.setHeader('content-type', 'application/json').end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans: spans as readonly CollectedSpan[],
    /** The headers of each request. */
    headers: headers as readonly IncomingHttpHeaders[],
    async close(): Promise<void> {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly ExportedSpan[] }[]
  }[]
}
interface ExportedSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes?: readonly Attribute[]
  readonly links?: readonly { readonly spanId: string }[]
  readonly status?: { readonly code?: number }
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
}

function readSpans({ resourceSpans }: Exported): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource: { attributes }, scopeSpans }) => {
    const resource = valuesOf(attributes)
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(span, resource)))
  })
}

function readSpan(span: ExportedSpan, resource: Readonly<Record<string, unknown>>): CollectedSpan {
  const { name, kind, traceId, spanId, parentSpanId = '', attributes = [], links = [], status } = span
  return {
    ...{ name, traceId, spanId, parentId: parentSpanId, resource },
    service: String(resource['service.name']),
    kind: String(KINDS[kind]),
    attributes: valuesOf(attributes),
    links: links.map((link) => link.spanId),
    isError: status?.code === ERROR,
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
  }
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[type, given] = ['', undefined]] = Object.entries(value)
      return [key, type === 'intValue' ? Number(given) : given]
    }),
  )
}
