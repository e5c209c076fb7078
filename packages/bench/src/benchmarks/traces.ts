import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Benchmark, Context } from '../benchmark.ts'
import { COSTS, measurePipeline } from './pipeline.ts'

export const traces: Benchmark = {
  name: 'traces',
  title: 'from POST /payments to SUCCESS or FAILED, with a trace of each payment, of one in four, and with none',
  figures: [
    { metric: 'cpuUs', what: 'CPU per payment', unit: 'µs' },
    { metric: 'rate', what: 'settled', unit: '/s' },
    ...COSTS,
  ],
  ratios: [
    ['each', 'none'],
    ['one in four', 'none'],
  ],
  variants: (context) => ({
    each: () => measureTraced(context, '1'),
    'one in four': () => measureTraced(context, '0.25'),
    none: () => measurePipeline(context.product, context),
  }),
}

async function measureTraced(context: Context, ratio: string) {
  await using collector = await startCollector()
  return await measurePipeline(context.product, context, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: ratio,
  })
}

/** A collector that drops all spans. It runs in this process, whose CPU time does not count. */
async function startCollector() {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.setHeader('content-type', 'application/json').end('{}'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
