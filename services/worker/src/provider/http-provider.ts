import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { formatMoney, type Payment } from '@cashflow/domain'
import type { Deadline, Provider, ProviderAnswer } from './provider.ts'
import { type HttpAnswer, readCharge } from './read-charge.ts'

const BODY_BYTES_MAX = 65_536

/**
 * A provider behind HTTP, as docs/provider.md describes it. At most one POST an attempt. Where the charge may exist already
 * it first asks for it, and charges only when there is none.
 */
export function createHttpProvider({ url, token }: { url: string; token?: string | undefined }): Provider {
  const charges = url.replace(/\/+$/, '')
  const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` }
  return {
    async charge(payment, deadline, { attempts, pending }) {
      if (attempts > 0 || pending) {
        const found = await ask(`${charges}/${payment.id}`, { method: 'GET', headers: { ...authorization }, deadline })
        // Asked for a key, 404 is an answer about the key.
        if (found.status !== 404) return readFound(found)
      }
      const body = JSON.stringify(describe(payment))
      const headers = { ...authorization, 'content-type': 'application/json', 'idempotency-key': payment.id }
      return readCharge(await ask(charges, { method: 'POST', headers, body, deadline }))
    },
  }
}

/** The charge as a look-up found it. A refused look-up says nothing about the charge, and its reason has to show that. */
function readFound(found: HttpAnswer): ProviderAnswer {
  const answer = readCharge(found)
  return answer.outcome === 'refused' ? { ...answer, reason: `${answer.reason} to the look-up` } : answer
}

function describe(payment: Payment) {
  return {
    payment_id: payment.id,
    merchant_id: payment.merchantId,
    reference: payment.reference,
    amount: formatMoney(payment),
    // At most 15 digits, which a double holds exactly.
    amount_minor: Number(payment.amountMinor),
    currency: payment.currency,
  }
}

interface Request {
  method: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: string
  deadline: Deadline
}

/**
 * One request, as it is. Not with fetch, which asks again by itself after a 421. A redirect is not followed: another
 * host has no business with payments.
 */
async function ask(url: string, { method, headers, body, deadline }: Request): Promise<HttpAnswer> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = send(url, { method, headers: { accept: 'application/json', ...headers }, signal: deadline.signal })
  // An error after the response has begun is met by whoever reads it.
  request.on('error', () => {})
  await connected(request)
  // Written at once from here on. A process that was frozen while it connected has lost its claim meanwhile.
  if (deadline.passed()) {
    request.destroy()
    throw new Error('connected only after the deadline')
  }
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'] ?? null,
    body: await readBody(response),
  }
}

/** Resolves in the very tick in which a connection is there that takes what is written. */
function connected(request: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('socket', (socket) => {
      if ((socket as Socket & { secureConnecting?: boolean }).secureConnecting) socket.once('secureConnect', resolve)
      else if (socket.connecting) socket.once('connect', resolve)
      else resolve() // Kept alive.
    })
  })
}

/** Undefined for more than `BODY_BYTES_MAX`; what is left of it is not read. */
async function readBody(response: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop destroys the stream, and its connection with it.
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
