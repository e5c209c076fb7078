import { readSecrets, type VerifyOptions, verifyWebhook } from './verify-webhook.ts'
import type { WebhookEvent } from './webhook-event.ts'
import { WebhookVerificationError } from './webhook-refusal.ts'

const BODY_BYTES_MAX = 1024 * 1024
const PARSED = 'The body was parsed before. Put webhookMiddleware before express.json(), or express.raw() before it.'
const TITLES = { 400: 'Bad Request', 413: 'Content Too Large', 500: 'Internal Server Error' } as const

type Secrets = string | readonly string[]

export interface WebhookMiddlewareOptions extends Pick<VerifyOptions, 'toleranceS'> {
  /** `whsec_…` of the endpoint, several while they rotate. A function is asked for each request, so a rotation needs no restart. */
  secrets: Secrets | (() => Secrets | Promise<Secrets>)
  /** Maximum size of a body, in bytes. Default: 1 MiB. */
  bodyBytesMax?: number | undefined
  /** Called for each refused request, to log it or to count it. The answer waits for a promise that it returns. */
  onRefused?: ((error: WebhookVerificationError, request: WebhookRequest) => unknown) | undefined
}

/** What the middleware uses of a request of Express or of node:http. */
export interface WebhookRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Whether the body was read before. */
  readonly readableDidRead?: boolean | undefined
  on(event: string, listener: (chunk: unknown) => void): unknown
  /** A Buffer, if express.raw() has read the body. */
  body?: unknown
  /** The verified event. */
  webhook?: WebhookEvent | undefined
}

/** What the middleware uses of a response of Express or of node:http. */
export interface WebhookResponse {
  statusCode: number
  readonly headersSent?: boolean | undefined
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
}

declare global {
  // The types of Express have this namespace for members that middleware adds.
  namespace Express {
    interface Request {
      webhook?: WebhookEvent | undefined
    }
  }
}

/**
 * Middleware for Express 4 and 5, also for node:http. It verifies a webhook, puts its event in `req.webhook` and calls
 * `next()`. It answers a request that is not to be handled with 400, or 413 if it is too large, without the reason.
 *
 * It reads the body, unless express.raw() has read it. For a body that was parsed, for secrets that cannot be read, or an
 * error of `onRefused`, it calls `next(error)`. It calls `next` at most once, and adds nothing to a response that has begun.
 *
 * Express handles what its handlers throw. With node:http, an error that `next` throws or rejects with is printed by
 * `console.error` and answered with 500, so the event comes again and the process lives on.
 *
 * @throws TypeError for a secret of another form
 */
export function webhookMiddleware(options: WebhookMiddlewareOptions) {
  const { secrets } = options
  if (typeof secrets !== 'function') readSecrets(secrets)
  return (request: WebhookRequest, response: WebhookResponse, next: (error?: unknown) => unknown): void => {
    receive(request, response, options)
      .then(
        (isVerified) => (isVerified ? next() : undefined),
        (error: unknown) => next(error),
      )
      // A rejection that is not handled ends the process.
      .catch((error: unknown) => {
        console.error(error)
        answer(response, 500)
      })
  }
}

/** Puts a verified event in `request.webhook`. Otherwise it answers, except for a request that ended early. */
async function receive(
  request: WebhookRequest,
  response: WebhookResponse,
  { secrets, toleranceS, bodyBytesMax = BODY_BYTES_MAX, onRefused }: WebhookMiddlewareOptions,
): Promise<boolean> {
  try {
    const body = await bodyOf(request, bodyBytesMax)
    if (body === 'incomplete') return false
    const known = typeof secrets === 'function' ? await secrets() : secrets
    request.webhook = verifyWebhook(body, request.headers, known, { toleranceS })
    return true
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error
    await onRefused?.(error, request)
    answer(response, error.code === 'too-large' ? 413 : 400)
    return false
  }
}

async function bodyOf(request: WebhookRequest, bytesMax: number): Promise<Uint8Array | 'incomplete'> {
  const raw = request.body instanceof Uint8Array ? request.body : undefined
  // Express 4 gives a request whose body it has not read the body {}.
  if (!raw && request.readableDidRead) throw new TypeError(PARSED)
  // express.raw() has decompressed the body, and the signature tells whether that is what was signed.
  if (!raw && (request.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new WebhookVerificationError('bad-body', 'The body has a content-encoding. Cashflow sends none.')
  const bytes = raw ?? (await readBody(request, bytesMax))
  if (bytes === 'incomplete') return bytes
  if (bytes === 'too-large' || bytes.length > bytesMax)
    throw new WebhookVerificationError('too-large', `The body has more than ${bytesMax} bytes.`)
  return bytes
}

/** Reads the body. Of one that is too large it keeps nothing, and reads the rest, so that the sender sees the answer. */
function readBody(request: WebhookRequest, bytesMax: number): Promise<Uint8Array | 'too-large' | 'incomplete'> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    request.on('data', (chunk) => {
      if (!(chunk instanceof Uint8Array))
        return reject(new TypeError('The body is read as text: call no setEncoding().'))
      bytes += chunk.length
      if (bytes <= bytesMax) return void chunks.push(chunk)
      chunks.length = 0
      resolve('too-large')
    })
    request.on('end', () => resolve(joined(chunks, bytes)))
    request.on('error', () => resolve('incomplete'))
    request.on('close', () => resolve('incomplete'))
  })
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

function answer(response: WebhookResponse, status: keyof typeof TITLES): void {
  // A time limit of the application may have answered. Another header would throw.
  if (response.headersSent) return
  response.statusCode = status
  response.setHeader('content-type', 'application/problem+json')
  response.end(JSON.stringify({ type: 'about:blank', title: TITLES[status], status }))
}
