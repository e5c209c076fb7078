import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { isSampled, spanIdOf, traceIdOf } from './traceparent.ts'

/** Begins the spans of a process. A process that is not traced has none, so that its payments cost nothing more. */
export interface Spans {
  /** Begins a span that is recorded: of a new trace, or in that of `parent`. */
  begin(name: string, parent: string | undefined, options?: SpanOptions): Span
  /** Begins a span within `parent`. Undefined if `parent` is not sampled, or if there is none. */
  child(name: string, parent: string | undefined, options?: SpanOptions): Span | undefined
  /**
   * Begins the span of work that several traces share, in a trace of its own, with a link to each member that is sampled.
   * Undefined if fewer than two are: the span of a single member tells the same.
   */
  batch(name: string, members: readonly (string | undefined)[], options?: SpanOptions): Span | undefined
}

/** @param tracer records each span that it begins: whether a trace is sampled is decided before */
export function createSpans(tracer: Tracer): Spans {
  return {
    begin: (name, parent, options) => tracer.startSpan(name, options, contextOf(parent)),
    child(name, parent, options) {
      if (parent === undefined || !isSampled(parent)) return undefined
      return tracer.startSpan(name, options, contextOf(parent))
    },
    batch(name, members, options) {
      const links: Link[] = []
      for (const member of members)
        if (member !== undefined && isSampled(member)) links.push({ context: spanContextOf(member) })
      return links.length > 1 ? tracer.startSpan(name, { ...options, links }, ROOT_CONTEXT) : undefined
    },
  }
}

/** The place of a span, for its children, and for the services that it calls. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`
}

/** Ends the span when the work has ended. Returns the work's own promise where there is no span. */
export function untilDone<Result>(span: Span | undefined, work: Promise<Result>): Promise<Result> {
  return span ? ended(span, work) : work
}

async function ended<Result>(span: Span, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    markFailed(span, errorTypeOf(error))
    throw error
  } finally {
    span.end()
  }
}

/** @param type a short name of the error, of which there are few. An error's message may hold a secret. */
export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
}

export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

function contextOf(parent: string | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent))
}

function spanContextOf(place: string): SpanContext {
  return {
    traceId: String(traceIdOf(place)),
    spanId: spanIdOf(place),
    traceFlags: isSampled(place) ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  }
}
