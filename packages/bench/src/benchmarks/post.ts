import { join } from 'node:path'
import type { Benchmark, Context } from '../benchmark.ts'
import { newPayments, type Request } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { closedLoop } from '../load.ts'
import { startProcess } from '../process.ts'
import { startSystem } from '../system.ts'

const CONNECTIONS = 32

export const post: Benchmark = {
  name: 'post',
  title: `POST /payments on ${CONNECTIONS} connections, one process of each API`,
  figures: [
    { metric: 'rate', what: 'answers', unit: '/s' },
    { metric: 'p50Ms', what: 'p50', unit: 'ms' },
    { metric: 'p99Ms', what: 'p99', unit: 'ms' },
  ],
  ratios: [
    ['product', 'empty'],
    ['product', 'textbook'],
    ['empty', 'bare express'],
  ],
  compared: 'product',
  variants: (context) => ({
    product: () => measureApi(context.product, context),
    empty: () => measureAlone('empty', context),
    'bare express': () => measureAlone('bare-express', context),
    textbook: () => measureApi(TEXTBOOK, context),
  }),
}

async function measureApi(contender: Contender, context: Context) {
  await using system = await startSystem(context.servers, contender, ['api'])
  return await measurePost(system.url, context, newPayments())
}

/** Measures a server without a database. */
async function measureAlone(name: 'empty' | 'bare-express', context: Context) {
  const file = join(import.meta.dirname, `${name}-main.ts`)
  const place = { databaseUrl: 'postgres://127.0.0.1:1/none', brokerUrl: 'amqp://127.0.0.1:1' }
  await using server = await startProcess({ name, file, place, dir: context.servers.dir })
  return await measurePost(server.url, context, newPayments())
}

export function measurePost(url: string, { quick, signal }: Context, next: () => Request) {
  // V8 compiles on the other core for more than three seconds. During that time an API answers a third less.
  const times = quick ? { warmUpMs: 200, durationMs: 500 } : { warmUpMs: 10_000, durationMs: 10_000 }
  return closedLoop({ ...times, url, connections: CONNECTIONS, next, signal })
}
