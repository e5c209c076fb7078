import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'

/** What each package of the product may depend on. pnpm links nothing else, so nothing else can be imported. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'packages/async': [],
  'packages/domain': [],
  // Integrators install it, so it brings nothing with it.
  'packages/client': [],
  'packages/outbox': ['async', 'kysely'],
  'packages/messaging': ['async', '@prometheus-io/client', 'amqplib'],
  'packages/runtime': ['async', '@prometheus-io/client', 'winston', 'zod'],
  'packages/tracing': [
    ...['async', 'runtime', '@opentelemetry/api', '@opentelemetry/exporter-trace-otlp-http'],
    ...['@opentelemetry/resources', '@opentelemetry/sdk-trace', 'zod'],
  ],
  'packages/webhook-sender': ['async', 'runtime', 'zod'],
  db: ['async', 'domain', 'outbox', 'runtime', '@prometheus-io/client', 'kysely', 'pg', 'pg-connection-string', 'zod'],
  // Never messaging: the api serves it.
  'packages/console': [
    ...['async', 'db', 'domain', 'outbox', 'runtime', '@preact/signals', 'esbuild', 'express', 'helmet', 'kysely'],
    ...['preact', 'uplot', 'zod'],
  ],
  // Never messaging: the api appends to the outbox, so that a dual write cannot be written.
  'services/api': [
    ...[
      'async',
      'console',
      'db',
      'domain',
      'outbox',
      'runtime',
      'tracing',
      'express',
      'helmet',
      'kysely',
      'swagger-ui-dist',
      'zod',
    ],
    ...['@prometheus-io/client', 'webhook-sender', 'zod-openapi'],
  ],
  'services/relay': [
    ...['async', 'db', 'domain', 'messaging', 'outbox', 'runtime', 'tracing', '@prometheus-io/client', 'kysely'],
    'zod',
  ],
  'services/worker': [
    ...['async', 'db', 'domain', 'messaging', 'outbox', 'runtime', 'tracing', '@prometheus-io/client', 'kysely'],
    'zod',
  ],
  // Never messaging: webhooks go on without RabbitMQ.
  'services/webhooks': [
    ...['async', 'db', 'domain', 'outbox', 'runtime', 'tracing', 'webhook-sender', '@prometheus-io/client', 'kysely'],
    'zod',
  ],
  'packages/cli': [
    ...[
      'async',
      'client',
      'console',
      'db',
      'domain',
      'messaging',
      'outbox',
      'runtime',
      'webhook-sender',
      'kysely',
      'zod',
    ],
    ...['@commander-js/extra-typings', 'cli-table3', 'commander'],
  ],
}

/** For development only: no package of the product may depend on them, but its tests may. */
const DEVELOPMENT = [
  'packages/bench',
  'packages/chaos',
  'packages/dev-stack',
  'packages/monitoring',
  'packages/testing',
]

describe('packages', () => {
  const folders = globSync('{db,packages/*,services/*}/package.json', { cwd: REPOSITORY }).map(dirname)

  it('every package is listed with its dependencies, or is for development only', () => {
    expect(folders).to.have.members([...Object.keys(ALLOWED), ...DEVELOPMENT])
  })

  for (const [folder, allowed] of Object.entries(ALLOWED)) {
    it(`${folder} depends on nothing but ${allowed.join(', ') || 'Node'}`, () => {
      const { dependencies } = JSON.parse(readFileSync(join(REPOSITORY, folder, 'package.json'), 'utf8'))
      const names = Object.keys(dependencies).map((name) => name.replace('@cashflow/', ''))
      expect(names.filter((name) => !allowed.includes(name))).to.deep.equal([])
    })
  }
})
