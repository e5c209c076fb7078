import { createDocument } from 'zod-openapi'
import { DEPLOYMENT_PATHS } from './deployment-paths.ts'
import { SERVER } from './operations.ts'
import { PAYMENT_PATHS } from './payment-paths.ts'
import { WEBHOOK_PATHS } from './webhook-paths.ts'
import { WEBHOOKS } from './webhooks.ts'

const DESCRIPTION = `A payment gateway that cannot lose or double a payment. A payment that was answered with 201 reaches SUCCESS or FAILED once.

- The same paths without \`/api/v1\` answer alike. Every path with GET answers HEAD too. OPTIONS gets 204 with \`Allow\`, and a method that a path does not have gets 405 \`method-not-allowed\`.
- Errors are problem details (RFC 9457). Decide by \`code\`, which never changes. \`retryable: true\` means: send the same request again, unchanged.
- Version 1 only grows: clients have to ignore members and headers that they do not know.
- Where the operator has switched authentication off, no request needs a key.`

/** The API's document, from the schemas that validate requests and the table of problems. */
export function createApiDocument() {
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Cashflow',
        version: '1.0.0',
        summary: 'A payment gateway.',
        description: DESCRIPTION,
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
        contact: { name: 'The operator of this deployment' },
      },
      servers: [{ url: '/api/v1', ...SERVER }],
      tags: [
        { name: 'Deployment', description: 'The deployment and this document. They need no key.' },
        { name: 'Events', description: 'What happened to payments.' },
        { name: 'Payments', description: 'Payments of the merchant that the key belongs to.' },
        { name: 'Sandbox', description: 'For tests of integrators. A live deployment does not have it.' },
        { name: 'Webhooks', description: 'Events that are sent to endpoints of the merchant.' },
      ],
      security: [{ key: [] }],
      paths: { ...PAYMENT_PATHS, ...WEBHOOK_PATHS, ...DEPLOYMENT_PATHS },
      webhooks: WEBHOOKS,
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'cf_test_… or cf_live_…',
            description:
              'A merchant’s API key. `payments:write` allows POST, and `payments:read` allows GET. `webhooks:manage` allows all about webhooks.',
          },
        },
      },
    },
    {
      allowEmptySchema: { custom: true },
      override({ jsonSchema, zodSchema, io }) {
        // An answer may grow members. What the API sends today is checked by the contract test.
        const isClosed = zodSchema._zod.def.type === 'object' && jsonSchema.additionalProperties === false
        if (io === 'output' && isClosed) delete jsonSchema.additionalProperties
        // The linter asks each member for an example and a shortest length. A constant or an enumeration has both in itself.
        const values = jsonSchema.enum ?? ('const' in jsonSchema ? [jsonSchema.const] : [])
        if (values.length > 0) jsonSchema.examples ??= [values[0]]
        if (jsonSchema.type === 'string' && values.length > 0)
          jsonSchema.minLength = Math.min(...values.map((value) => String(value).length))
      },
    },
  )
}
