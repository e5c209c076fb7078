import * as z from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { health, overview, page } from './answers.ts'
import { HEADERS } from './headers.ts'
import { answer, ifNoneMatch, open, SERVER, unchanged } from './operations.ts'

const document = z.looseObject({ openapi: z.literal('3.1.1') }).meta({ id: 'OpenApiDocument' })
const documentAnswer = answer('The document.', document, {
  headers: { ETag: HEADERS.ETag },
  isPublic: true,
  cache: 'no-cache',
})
const overviewAnswer = answer('Where everything is.', overview, { isPublic: true })

/** These paths are not below /api/v1. */
const AT_ROOT = { servers: [{ url: '/', ...SERVER }] }

export const DEPLOYMENT_PATHS: ZodOpenApiPathsObject = {
  '/health': {
    ...AT_ROOT,
    get: open({
      operationId: 'getHealth',
      summary: 'Ask whether payments can be created',
      description: '503 `unavailable` after at most 2 seconds if PostgreSQL does not answer.',
      tags: ['Deployment'],
      responses: { 200: answer('PostgreSQL answers.', health, { isPublic: true }) },
      problems: ['unavailable'],
    }),
  },
  '/openapi.json': {
    ...AT_ROOT,
    get: open({
      operationId: 'getDocument',
      summary: 'Get this document',
      description: 'With `If-None-Match` the answer is 304 while the document is the same.',
      tags: ['Deployment'],
      requestParams: { header: z.object({ 'If-None-Match': ifNoneMatch }) },
      responses: {
        200: documentAnswer,
        304: unchanged('The client has the document already.', {
          headers: { ETag: HEADERS.ETag },
          isPublic: true,
          cache: 'no-cache',
        }),
      },
    }),
  },
  '/': {
    ...AT_ROOT,
    get: open({
      operationId: 'getOverview',
      summary: 'Ask where everything is',
      description: 'As a page for a browser, else as JSON.',
      tags: ['Deployment'],
      responses: {
        200: { ...overviewAnswer, content: { ...overviewAnswer.content, 'text/html': { schema: page } } },
      },
    }),
  },
}
