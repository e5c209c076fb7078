import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'

// biome-ignore lint/suspicious/noExplicitAny: nodes of the document are of any shape.
export type Node = any

/** Amounts are text in the client: a number would lose its zeros. Anything else that the document allows is a difference. */
const AMOUNTS = new Map([
  ['number', 'string'],
  ['number | string', 'string'],
])

/** The TypeScript type of a schema, with every member `readonly` as in the client. */
function typeOf(schema: Node): string {
  if (schema.$ref) return schema.$ref.split('/').at(-1)
  if (schema.allOf) throw new Error('allOf has no type here')
  const options = schema.anyOf ?? schema.oneOf
  if (options) return options.map(typeOf).join(' | ')
  if (schema.enum) return schema.enum.map((value: unknown) => JSON.stringify(value)).join(' | ')
  if ('const' in schema) return JSON.stringify(schema.const)
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
    case 'number':
      return schema.type
    case 'integer':
      return 'number'
    case 'array':
      return `readonly (${typeOf(schema.items)})[]`
    case 'object':
      return schema.properties ? membersOf(schema) : `Readonly<Record<string, ${typeOf(schema.additionalProperties)}>>`
    default:
      throw new Error(`The type ${schema.type} has no type here`)
  }
}

function membersOf({ properties, required = [] }: Node): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const type = typeOf(schema)
    const shown = name === 'amount' ? (AMOUNTS.get(type) ?? type) : type
    return `readonly ${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${shown}`
  })
  return `{ ${members.join('; ')} }`
}

/** Parameters of the query as the client takes them: times also as `Date`. */
function queryTypeOf({ parameters }: Node): string {
  const members = parameters.map(({ name, required, schema }: Node) => {
    const type = schema.format === 'date-time' ? 'Date | string' : typeOf(schema)
    return `${name}${required ? '' : '?'}: ${type} | undefined`
  })
  return `{ ${members.join('; ')} }`
}

/**
 * The members that problems have, in one object. Constants stand for any value of their type: a newer API or a proxy
 * answers with other codes, titles and statuses.
 */
function problemOf(schemas: Node): Node {
  const problems = Object.keys(schemas)
    .filter((name) => name.endsWith('Problem'))
    .map((name) => schemas[name])
  const names = new Set(problems.flatMap(({ properties }) => Object.keys(properties)))
  const memberOf = (name: string) => ({
    anyOf: problems
      .flatMap(({ properties }) => properties[name] ?? [])
      .map((schema: Node) => ('const' in schema ? { type: schema.type } : schema)),
  })
  return {
    type: 'object',
    properties: Object.fromEntries([...names].map((name) => [name, memberOf(name)])),
    required: [...names].filter((name) => problems.every(({ required }) => required.includes(name))),
  }
}

const DIFFERENCES = `
type IsSame<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Differences<A, B> = {
  [K in keyof A | keyof B]: K extends keyof A & keyof B
    ? IsSame<Pick<A, K>, Pick<B, K>> extends true ? never : K
    : K
}[keyof A | keyof B]
`

/** Types of answers, each with its operation and its status. */
const WEBHOOKS = [
  ['WebhookEndpoint', 'getWebhookEndpoint', 200],
  ['WebhookEndpoint', 'changeWebhookEndpoint', 200],
  ['WebhookEndpointWithSecret', 'createWebhookEndpoint', 201],
  ['WebhookEndpointWithSecret', 'rotateWebhookSecret', 200],
  ['WebhookReplay', 'replayWebhooks', 202],
  ['WebhookCheck', 'checkWebhookEndpoint', 202],
  ['WebhookCheck', 'pingWebhookEndpoint', 202],
  ['WebhookCheck', 'getWebhookCheck', 200],
] as const

/** Types of bodies of requests, each with its operation. */
const WEBHOOK_BODIES = [
  ['NewWebhookEndpoint', 'createWebhookEndpoint'],
  ['WebhookEndpointChange', 'changeWebhookEndpoint'],
  ['NewWebhookReplay', 'replayWebhooks'],
] as const

/** A program with an error for each member that differs. */
function programOf({ paths, components: { schemas } }: Node): string {
  const operations: Node[] = Object.values(paths).flatMap((path: Node) => Object.values(path))
  const operation = (id: string): Node => operations.find(({ operationId }) => operationId === id)
  const body = ({ content }: Node) => typeOf(content['application/json'].schema)
  const answer = (id: string, status = 200) => body(operation(id).responses[status])
  // `create` sends no `Prefer`, so its answer has no member of a later state.
  const created = `Omit<${answer('createPayment', 201)}, 'failure_code' | 'waiting_for' | 'next_action_at'>`
  const listOptions = 'Omit<client.ListOptions, keyof client.CallOptions>'
  const eventsOptions = "Omit<client.EventsOptions, keyof client.CallOptions | 'follow'>"
  const deliveryOptions = 'Omit<client.DeliveryListOptions, keyof client.CallOptions>'
  const compared = [
    ['NewPayment', 'client.NewPayment', body(operation('createPayment').requestBody)],
    ['ListOptions', listOptions, queryTypeOf(operation('listPayments'))],
    ['EventsOptions', eventsOptions, queryTypeOf(operation('listEvents'))],
    ['CreatedPayment', 'client.CreatedPayment', created],
    ['Payment', 'client.Payment', answer('getPayment')],
    ['Payment', 'client.Payment', answer('cancelPayment')],
    ['PaymentPage', 'client.PaymentPage', answer('listPayments')],
    ['PaymentEvent', 'client.PaymentEvent', 'Event'],
    ['PaymentEvents', '{ readonly data: readonly client.PaymentEvent[] }', answer('listPaymentEvents')],
    ['EventPage', 'client.EventPage', answer('listEvents')],
    ...WEBHOOKS.map(([name, id, status]) => [name, `client.${name}`, answer(id, status)] as const),
    ...WEBHOOK_BODIES.map(([name, id]) => [name, `client.${name}`, body(operation(id).requestBody)] as const),
    ['WebhookEndpointPage', 'client.WebhookPage<client.WebhookEndpoint>', answer('listWebhookEndpoints')],
    ['WebhookDeliveryPage', 'client.WebhookPage<client.WebhookDelivery>', answer('listWebhookDeliveries')],
    ['WebhookRedeliveries', 'client.WebhookPage<client.WebhookDelivery>', answer('redeliverEvent', 202)],
    [
      'WebhookDeliveriesOfEvent',
      'client.WebhookPage<client.WebhookDeliveryWithAttempts>',
      answer('listEventDeliveries'),
    ],
    ['DeliveryListOptions', deliveryOptions, queryTypeOf(operation('listWebhookDeliveries'))],
    ['WebhookData', 'client.WebhookData', 'WebhookData'],
    ['Problem', 'client.Problem', typeOf(problemOf(schemas))],
  ]
  return [
    `import type * as client from ${JSON.stringify(join(REPOSITORY, 'packages/client/src/index.ts'))}`,
    DIFFERENCES,
    ...Object.entries(schemas).map(([name, schema]) => `type ${name} = ${typeOf(schema)}`),
    ...compared.map(
      ([name, own, other], index) =>
        `export const _${index}: never = null as unknown as \`${name}.\${Differences<${own}, ${other}>}\``,
    ),
  ].join('\n')
}

/** What the compiler says about the types of the client that differ from the document. Empty if none does. */
export async function differencesFrom(document: Node): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-types-'))
  try {
    const config = {
      extends: join(REPOSITORY, 'packages/client/tsconfig.build.json'),
      compilerOptions: {
        noEmit: true,
        declaration: false,
        rootDir: '/',
        noUnusedLocals: false,
        noErrorTruncation: true,
        // The folder is not in the repository, where the compiler would look for Node's types.
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
      },
      include: [dir],
    }
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config))
    await writeFile(join(dir, 'differences.mts'), programOf(document))
    const { stdout } = await promisify(execFile)('tsc', ['-p', dir]).catch((error) => error)
    return stdout
  } finally {
    await rm(dir, { recursive: true })
  }
}
