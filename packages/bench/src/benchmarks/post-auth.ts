import { createDatabase, KEY_SCOPES, parsePeppers } from '@cashflow/db'
import { createKey, createMerchant } from '@cashflow/db/operator'
import { nullLogger } from '@cashflow/testing'
import type { Benchmark, Context } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { createPlace, type Place } from '../place.ts'
import { startSystem } from '../system.ts'
import { measurePost } from './post.ts'

const KEY_PEPPER = 'the-key-of-a-benchmark-has-this-pepper'
const SETTINGS = {
  AUTH: 'api-key',
  KEY_PEPPER,
  // More than a process can answer. Requests are counted as with any limit.
  RATE_LIMIT: '100000',
}

export const postAuth: Benchmark = {
  name: 'post-auth',
  title: 'POST /payments with an API key, a rate limit and idempotency keys, and with none of them',
  figures: [
    { metric: 'cpuUs', what: 'CPU per payment', unit: 'µs' },
    { metric: 'rate', what: 'answers', unit: '/s' },
    { metric: 'p50Ms', what: 'p50', unit: 'ms' },
    { metric: 'p99Ms', what: 'p99', unit: 'ms' },
  ],
  ratios: [['with keys', 'without']],
  variants: (context) => ({
    'with keys': () => measureWithKeys(context),
    without: () => measureWithout(context),
  }),
}

async function measureWithKeys(context: Context) {
  const { servers, product } = context
  await using place = await createPlace(servers, product.template)
  const secret = await createSecret(place)
  await using system = await startSystem(servers, product, ['api'], { place, env: SETTINGS })
  return await measurePost(system.url, context, newPayments({ secret }))
}

async function measureWithout(context: Context) {
  await using system = await startSystem(context.servers, context.product, ['api'])
  return await measurePost(system.url, context, newPayments())
}

/** Returns the secret of a new merchant's key. */
async function createSecret({ databaseUrl: url }: Place): Promise<string> {
  const db = createDatabase({ url, applicationName: 'bench-operator', poolMax: 1, sandbox: true, logger: nullLogger })
  try {
    const by = { actor: 'bench', via: 'bench' }
    const made = await createMerchant(db, { name: 'bench', by })
    if (!made.done) throw new Error(made.why)
    const [pepper] = parsePeppers(KEY_PEPPER)
    const key = await createKey(db, {
      merchantId: made.merchant.id,
      name: 'bench',
      scopes: KEY_SCOPES,
      sandbox: true,
      pepper,
      by,
    })
    if (!key.done) throw new Error(key.why)
    return key.secret
  } finally {
    await db.destroy()
  }
}
