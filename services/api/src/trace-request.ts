import { randomBytes } from 'node:crypto'
import { redact } from '@cashflow/runtime'
import {
  isSampled,
  markFailed,
  readTraceparent,
  type Span,
  SpanKind,
  type Spans,
  traceparentOf,
} from '@cashflow/tracing'
import type { Request } from 'express'
import * as z from 'zod'
import { routeOf } from './route-of.ts'

/** For the API's document. A header that is not well-formed is ignored. */
export const traceparentHeader = z
  .string()
  .regex(/^[ -~]*$/)
  .max(512)
  .optional()
  .meta({
    description:
      'The place of the request in the client’s trace (W3C Trace Context). The payment goes on in that trace. It is ignored if it is not well-formed.',
    examples: ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  })

export interface RequestTracing {
  /** Undefined where nothing is traced: a client's traceparent is then passed on as it is. */
  readonly spans: Spans | undefined
  /** Whether a client decides if its trace is recorded. */
  readonly isTrusted: boolean
  /** Share of the traces that are recorded where no client decides, from 0 to 1. */
  readonly sampledShare: number
  readonly random?: () => number
}

/** The place of a request in its trace. */
export interface TracedRequest {
  /** The place that the request's payment continues. Undefined if the request has no trace. */
  readonly traceparent: string | undefined
  /** Ends the request's span. `status` is undefined if the client has gone. */
  end(status: number | undefined): void
}

const UNTRACED: TracedRequest = { traceparent: undefined, end() {} }
/** Payments and events. Probes and documents are not traced. */
const TRACED_ROUTE = /^\/(payments|events|test)/
const PATH_MAX = 512
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'OPTIONS'])

/**
 * Begins the span of a request, in the client's trace if its header `traceparent` names one.
 *
 * Whether the trace is recorded is decided here, once, and relays, workers and the provider follow. The decision does not
 * depend on the trace's id: a client could choose an id that is always recorded.
 */
export function traceRequest(
  req: Request,
  path: string,
  { spans, isTrusted, sampledShare, random = Math.random }: RequestTracing,
): TracedRequest {
  const given = readTraceparent(req.headers.traceparent)
  if (!spans) return given === undefined ? UNTRACED : { ...UNTRACED, traceparent: given }
  const route = routeOf(path)
  if (!TRACED_ROUTE.test(route)) return UNTRACED
  const isRecorded = isTrusted && given !== undefined ? isSampled(given) : random() < sampledShare
  if (!isRecorded) return { ...UNTRACED, traceparent: given && unsampled(given) }
  return recorded(spans.begin(...spanOf(req, { path, route, given })))
}

/** By OpenTelemetry's conventions for HTTP. */
function spanOf(
  { method: given, protocol }: Request,
  { path, route, given: parent }: { path: string; route: string; given: string | undefined },
): Parameters<Spans['begin']> {
  const method = METHODS.has(given) ? given : '_OTHER'
  const attributes = {
    'http.request.method': method,
    'http.route': route,
    // A client may put its API key anywhere.
    'url.path': String(redact(path.slice(0, PATH_MAX))),
    'url.scheme': protocol,
  }
  return [`${METHODS.has(given) ? given : 'HTTP'} ${route}`, parent, { kind: SpanKind.SERVER, attributes }]
}

function recorded(span: Span): TracedRequest {
  return {
    traceparent: traceparentOf(span),
    end(status) {
      if (status === undefined) span.setAttribute('error.type', 'client_gone')
      else span.setAttribute('http.response.status_code', status)
      if (status !== undefined && status >= 500) markFailed(span, String(status))
      span.end()
    },
  }
}

/** The same trace, not recorded. A changed flag needs another span id (W3C Trace Context, section 4.3). */
function unsampled(given: string): string {
  return isSampled(given) ? `${given.slice(0, 36)}${randomBytes(8).toString('hex')}-00` : given
}
