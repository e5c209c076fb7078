import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { defined } from '@cashflow/async'
import { formatMoney, type Payment } from '@cashflow/domain'
import type { Certificates } from '@cashflow/runtime'
import { markFailed, type Span, SpanKind, type Spans, traceparentOf, untilDone } from '@cashflow/tracing'
import type { Deadline, Provider, ProviderAnswer } from './provider.ts'
import { type HttpAnswer, readCharge } from './read-charge.ts'

const BODY_BYTES_MAX = 65_536

interface HttpProviderOptions {
  url: string
  token?: string | undefined
  /** Read for each request. Its authorities replace those that Node trusts. */
  certificates?: { read(): Certificates } | undefined
}

/**
 * A provider behind HTTP, as docs/provider.md describes it. Each attempt sends at most one POST. If the charge may exist
 * already, the attempt first looks it up, and charges only when there is none. Each request has the header `traceparent`, if
 * the payment's has a trace.
 *
 * @param spans undefined where nothing is traced
 */
export function createHttpProvider({ url, token, certificates }: HttpProviderOptions, spans?: Spans): Provider {
  const charges = url.replace(/\/+$/, '')
  const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` }
  const trusted = () => ({ ca: certificates?.read().ca })
  return {
    async charge(payment, deadline, { attempts, pending }, traceparent) {
      const trace = { spans, traceparent }
      if (attempts > 0 || pending) {
        const look = { ...trusted(), method: 'GET', headers: { ...authorization }, deadline } as const
        const found = await ask(`${charges}/${payment.id}`, look, trace)
        // In answer to a look-up, 404 means that there is no charge under this key.
        if (found.status !== 404) return readFound(found)
      }
      const body = JSON.stringify(chargeOf(payment))
      const headers = { ...authorization, 'content-type': 'application/json', 'idempotency-key': payment.id }
      return readCharge(await ask(charges, { ...trusted(), method: 'POST', headers, body, deadline }, trace))
    },
  }
}

/** Reads the answer to a look-up. A refused look-up tells nothing about the charge, and its reason has to show that. */
function readFound(found: HttpAnswer): ProviderAnswer {
  const answer = readCharge(found)
  return answer.outcome === 'refused' ? { ...answer, reason: `${answer.reason} to the look-up` } : answer
}

function chargeOf(payment: Payment) {
  return {
    payment_id: payment.id,
    merchant_id: payment.merchantId,
    reference: payment.reference,
    amount: formatMoney(payment),
    // At most 15 digits, which a double represents exactly.
    amount_minor: Number(payment.amountMinor),
    currency: payment.currency,
  }
}

interface Request {
  /** Authorities that a certificate must come from, as PEM text. Undefined: those that Node trusts. */
  ca: Buffer | undefined
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  deadline: Deadline
}

/** Sends one request, with its span. */
function ask(
  url: string,
  request: Request,
  { spans, traceparent }: { spans: Spans | undefined; traceparent: string | undefined },
): Promise<HttpAnswer> {
  const span = spans && beginRequest(spans, traceparent, url, request)
  const place = span ? traceparentOf(span) : traceparent
  const headers = place === undefined ? request.headers : { ...request.headers, traceparent: place }
  return untilDone(span, send(url, { ...request, headers }, span))
}

/** By OpenTelemetry's conventions for HTTP. */
function beginRequest(
  spans: Spans,
  traceparent: string | undefined,
  url: string,
  { method }: Request,
): Span | undefined {
  const { hostname, port, protocol } = new URL(url)
  return spans.child(method, traceparent, {
    kind: SpanKind.CLIENT,
    attributes: {
      'http.request.method': method,
      'url.full': url,
      'server.address': hostname,
      'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
    },
  })
}

/**
 * Sends one request. `fetch` is not used, because it repeats a request after a 421. A redirect is not followed, because
 * payments must not reach another host.
 */
async function send(
  url: string,
  { ca, method, headers, body, deadline }: Request,
  span: Span | undefined,
): Promise<HttpAnswer> {
  const options = { method, headers: { accept: 'application/json', ...headers }, signal: deadline.signal }
  // Node's agent opens a new connection for other authorities. NODE_TLS_REJECT_UNAUTHORIZED=0 must not hold for money.
  const request = url.startsWith('https:')
    ? httpsRequest(url, { ...options, ...(ca && { ca }), rejectUnauthorized: true })
    : httpRequest(url, options)
  // An error after the response has begun is thrown by the reading of its body.
  request.on('error', () => {})
  await connected(request)
  // The request is now written in the same tick. A process that was frozen while it connected may have lost its claim.
  if (deadline.passed()) {
    request.destroy()
    throw new Error('connected only after the deadline')
  }
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const status = defined(response.statusCode, 'status of a response')
  span?.setAttribute('http.response.status_code', status)
  // In answer to a look-up, 404 is no failure.
  if (span && status >= 400 && !(method === 'GET' && status === 404)) markFailed(span, String(status))
  return {
    status,
    retryAfter: response.headers['retry-after'] ?? null,
    body: await readBody(response),
  }
}

/** Resolves in the tick in which the connection is ready to be written to. */
function connected(request: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('socket', (socket) => {
      if ((socket as Socket & { secureConnecting?: boolean }).secureConnecting) socket.once('secureConnect', resolve)
      else if (socket.connecting) socket.once('connect', resolve)
      else resolve() // A connection that was kept alive.
    })
  })
}

/** Undefined for a body of more than `BODY_BYTES_MAX`. Its rest is not read. */
async function readBody(response: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop destroys the stream and its connection.
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
