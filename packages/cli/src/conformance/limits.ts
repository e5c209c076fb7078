import { type Check, expectEqual, expectProblem } from './check.ts'
import type { Answer, Deployment, NewBody } from './deployment.ts'

const AMOUNT_MAX = '9999999999999.99'
const BODY_MAX_BYTES = 327_680

const pairs = (count: number, { name = 1, value = 1 } = {}) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}`.padStart(name, 'n'), 'v'.repeat(value)]))

const referenceOf = ({ newName }: Deployment, length: number) => newName().padEnd(length, '-')

/** The largest value that is accepted, and the next one, which is not. */
const BODIES: readonly (readonly [what: string, accepted: Make, refused: Make])[] = [
  [`an amount has at most ${AMOUNT_MAX}`, () => ({ amount: AMOUNT_MAX }), () => ({ amount: '10000000000000.00' })],
  ['an amount has at least one minor unit', () => ({ amount: '0.01' }), () => ({ amount: '0.00' })],
  ['an amount has the decimals of its currency', () => ({ amount: '0.100' }), () => ({ amount: '0.101' })],
  [
    'a reference has at most 255 characters',
    (to) => ({ reference: referenceOf(to, 255) }),
    (to) => ({ reference: referenceOf(to, 256) }),
  ],
  ['metadata has at most 50 pairs', () => ({ metadata: pairs(50) }), () => ({ metadata: pairs(51) })],
  [
    'a name of metadata has at most 40 characters',
    () => ({ metadata: pairs(1, { name: 40 }) }),
    () => ({ metadata: pairs(1, { name: 41 }) }),
  ],
  [
    'a value of metadata has at most 500 characters',
    () => ({ metadata: pairs(1, { value: 500 }) }),
    () => ({ metadata: pairs(1, { value: 501 }) }),
  ],
]

type Make = (deployment: Deployment) => NewBody

function expectStatus({ status }: Answer, expected: number, what: string): void {
  expectEqual(status, expected, `the answer to ${what}`)
}

export const LIMITS: readonly Check[] = [
  ...BODIES.map(
    ([rule, accepted, refused]): Check => ({
      area: 'limits',
      rule,
      async run(deployment) {
        const { create, newName } = deployment
        expectStatus(await create(newName(), accepted(deployment)), 201, 'the largest')
        expectProblem(await create(newName(), refused(deployment)), 400, 'validation-error')
      },
    }),
  ),
  {
    area: 'limits',
    rule: 'an amount is shown with each of its digits',
    async run({ create, newName, ask }) {
      for (const amount of [AMOUNT_MAX, '0.10', '100.00']) {
        const created = await create(newName(), { amount })
        const found = await ask(`/payments/${created.body?.id}`)
        for (const { text } of [created, found])
          expectEqual(/"amount":([^,]*),/.exec(text)?.[1], amount, 'the amount in the answer')
        expectEqual(found.body?.amount_minor, Number(amount.replace('.', '')), 'amount_minor')
      }
    },
  },
  {
    area: 'limits',
    rule: 'an idempotency key has at most 255 characters',
    async run({ create, newName }) {
      expectStatus(await create(newName().padEnd(255, 'k')), 201, 'a key of 255 characters')
      expectProblem(await create(newName().padEnd(256, 'k')), 400, 'bad-request')
    },
  },
  {
    area: 'limits',
    rule: `a body has at most ${BODY_MAX_BYTES} bytes`,
    async run({ create, newName }) {
      const body = JSON.stringify({ amount: '1.00', currency: 'USD', reference: newName() })
      expectStatus(await create(newName(), body.padEnd(BODY_MAX_BYTES)), 201, 'the largest body')
      expectProblem(await create(newName(), body.padEnd(BODY_MAX_BYTES + 1)), 413, 'payload-too-large')
    },
  },
  {
    area: 'limits',
    rule: 'headers have at most 16 kB',
    async run({ ask }) {
      const send = () => ask('/payments?limit=1', { headers: { 'x-long': 'x'.repeat(20_000) } })
      // The API closes the connection before it has read all headers. Then TCP, or a proxy on the way, may lose its answer.
      for (let attempt = 1; ; attempt += 1) {
        try {
          return expectProblem(await send(), 431, 'headers-too-large')
        } catch (error) {
          if (attempt === 5) throw error
        }
      }
    },
  },
  {
    area: 'limits',
    rule: 'a page has 1 to 100 payments or events',
    async run({ ask }) {
      for (const list of ['payments', 'events']) {
        for (const limit of [1, 100]) expectStatus(await ask(`/${list}?limit=${limit}`), 200, `limit=${limit}`)
        for (const limit of [0, 101]) expectProblem(await ask(`/${list}?limit=${limit}`), 400, 'validation-error')
      }
    },
  },
  {
    area: 'limits',
    rule: 'a rate limit says what is left of it',
    async run({ ask }) {
      const { headers } = await ask('/payments?limit=1')
      const policy = headers.get('ratelimit-policy')
      expectEqual(headers.has('ratelimit'), policy !== null, 'the presence of RateLimit with RateLimit-Policy')
      if (policy !== null) expectEqual(/^"(key|address)";q=\d+;w=\d+$/.test(policy), true, `the form of ${policy}`)
    },
  },
]
