import { defined, eventually } from '@cashflow/async'
import type { ProblemCode } from '../../src/problem-types.ts'
import { createKey, inventedKey } from '../auth/merchant-keys.ts'
import type { Answer } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { type Operation, operationOf } from './contract.ts'
import { created, type Provocation } from './provoking-apis.ts'
import { ask, bodyOf, otherScope, type Parts, sendText, textOf } from './requests.ts'
import { WEBHOOK_ANSWERS, WEBHOOK_PROBLEMS } from './webhook-provocations.ts'

/** What provokes a problem at any operation that documents it. */
const PROBLEMS: Readonly<Partial<Record<ProblemCode, Provocation>>> = {
  'bad-request': ['ordinary', (api, asked) => sendText(api.http.url, textOf(asked).replace('Host: x\r\n', ''))],
  'request-timeout': [
    'impatient',
    (api, asked) => sendText(api.http.url, textOf(asked).slice(0, -20 - bodyLength(asked))),
  ],
  'headers-too-large': ['ordinary', (api, asked) => ask(api, asked, { headers: { X: 'x'.repeat(20_000) } })],
  internal: ['broken', ask],
  unauthenticated: ['keyed', ask],
  forbidden: [
    'keyed',
    async (api, asked) => {
      const { text } = await createKey(api, { scopes: [otherScope(asked)] })
      return await ask(api, asked, { headers: { Authorization: `Bearer ${text}` } })
    },
  ],
  'too-many-wrong-keys': [
    'keyed',
    (api, asked) => firstRefused(30, () => ask(api, asked, { headers: { Authorization: `Bearer ${inventedKey()}` } })),
  ],
  'quota-exceeded': ['limited', (api, asked) => firstRefused(3, () => ask(api, asked))],
  overloaded: ['full', ask],
  unavailable: ['cutOff', ask],
  'not-found': ['ordinary', ask],
  'invalid-cursor': [
    'ordinary',
    (api, asked) => ask(api, asked, { query: asked.operationId === 'listEvents' ? '?after=AQ' : '?cursor=AQ' }),
  ],
  'validation-error': [
    'ordinary',
    async (api, asked) => {
      if (asked.node.requestBody) return await ask(api, asked, { body: '{"amount": -1, "more": 1}' })
      return await ask(api, asked, { query: '?unknown=1' })
    },
  ],
  'not-cancelable': [
    'ordinary',
    async (api, asked) => {
      const id = await created(api)
      await api.db.updateTable('payments').set({ attempts: 1 }).where('id', '=', id).execute()
      return await ask(api, asked, { id })
    },
  ],
  'not-advanceable': [
    'ordinary',
    async (api, asked) => {
      const id = await created(api)
      await api.db.updateTable('payments').set({ parked_at: new Date() }).where('id', '=', id).execute()
      return await ask(api, asked, { id })
    },
  ],
  'duplicate-reference': ['ordinary', (api, asked) => askTwice(api, asked, {})],
  'reference-mismatch': ['ordinary', (api, asked) => askTwice(api, asked, { amount: '7' })],
  'idempotency-mismatch': [
    'ordinary',
    (api, asked) => askTwice(api, asked, { amount: '7' }, { 'Idempotency-Key': 'mismatch' }),
  ],
  ...WEBHOOK_PROBLEMS,
  'payload-too-large': ['ordinary', (api, asked) => ask(api, asked, { body: '{}'.padEnd(327_681) })],
  'unsupported-media-type': [
    'ordinary',
    (api, asked) => ask(api, asked, { headers: { 'Content-Type': 'text/plain' } }),
  ],
}

/** An answer 429 to one of several requests at once. */
async function firstRefused(count: number, send: () => Promise<Answer>): Promise<Answer> {
  const answers = await Promise.all(Array.from({ length: count }, send))
  const refused = answers.find(({ status }) => status === 429)
  return defined(refused, 'answer 429')
}

/** Length of the body in `textOf`, which has a new reference of the same length each time. */
const bodyLength = (asked: Operation) => bodyOf(asked)?.length ?? 0

async function askTwice(
  api: ApiUnderTest,
  asked: Operation,
  change: { amount?: string },
  headers = {},
): Promise<Answer> {
  const first = { amount: '5', reference: `TWICE-${Object.values({ ...change, ...headers }).join('-')}` }
  await ask(api, asked, { headers, body: bodyWith(first) })
  return await ask(api, asked, { headers, body: bodyWith({ ...first, ...change }) })
}

/** Asks until the limit accepts it: requests of other tests may have used the limit up. */
const unlimited: Provocation[1] = (api, asked) =>
  eventually(
    async () => {
      const answer = await ask(api, asked)
      if (answer.status === 429) throw new Error(answer.text)
      return answer
    },
    { intervalMs: 500 },
  )

/** Asks for a payment that was just created. */
function ofNew(parts: Parts) {
  return async (api: ApiUnderTest, asked: Operation) => await ask(api, asked, { ...parts, id: await created(api) })
}

/** What provokes an answer without a problem at one operation. */
const ANSWERS: Readonly<Record<string, Provocation[]>> = {
  'createPayment 201': [
    ['ordinary', ask],
    [
      'ordinary',
      async (api, asked) => {
        const parts = { headers: { 'Idempotency-Key': '"replay"' }, body: bodyWith({ reference: 'REPLAYED' }) }
        await ask(api, asked, parts)
        return await ask(api, asked, parts)
      },
    ],
    ['limited', unlimited],
  ],
  'getPayment 200': [
    ['ordinary', ofNew({})],
    ['ordinary', ofNew({ headers: { Prefer: 'wait=1' } })],
    [
      'ordinary',
      async (api, asked) => {
        const id = await created(api)
        await ask(api, operationOf('cancelPayment'), { id })
        return await ask(api, asked, { id })
      },
    ],
  ],
  'getPayment 304': [
    [
      'ordinary',
      async (api, asked) => {
        const id = await created(api)
        const { headers } = await ask(api, asked, { id })
        return await ask(api, asked, { id, headers: { 'If-None-Match': defined(headers.etag, 'ETag') } })
      },
    ],
  ],
  'cancelPayment 200': [['ordinary', ofNew({})]],
  'advancePayment 200': [['ordinary', ofNew({})]],
  'listPayments 200': [
    [
      'ordinary',
      async (api, asked) => {
        for (const _ of [1, 2]) await created(api)
        return await ask(api, asked, { query: '?limit=1&created_from=2026-01-01T00:00:00Z' })
      },
    ],
  ],
  'listPaymentEvents 200': [['ordinary', ofNew({})]],
  'listEvents 200': [
    [
      'ordinary',
      async (api, asked) => {
        await created(api)
        return await ask(api, asked, { query: '?type=payment.created' })
      },
    ],
  ],
  ...WEBHOOK_ANSWERS,
  'getHealth 200': [['ordinary', ask]],
  'getDocument 200': [['ordinary', ask]],
  'getDocument 304': [
    [
      'ordinary',
      async (api, asked) => {
        const { headers } = await ask(api, asked)
        return await ask(api, asked, { headers: { 'If-None-Match': defined(headers.etag, 'ETag') } })
      },
    ],
  ],
  'getOverview 200': [
    ['ordinary', ask],
    ['ordinary', (api, asked) => ask(api, asked, { headers: { Accept: 'text/html' } })],
  ],
}

/** What provokes an answer with this status, and with this problem if it has one. */
export function provocationsOf({ operationId }: Operation, status: string, code: string | undefined): Provocation[] {
  if (code === undefined) return ANSWERS[`${operationId} ${status}`] ?? []
  const provocation = PROBLEMS[code as ProblemCode]
  return provocation ? [provocation] : []
}
