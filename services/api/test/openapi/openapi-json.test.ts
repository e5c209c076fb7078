import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createApiDocument } from '../../src/openapi/document.ts'
import { routesOf } from '../routes-of.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const FILE = new URL('../../src/openapi/openapi.json', import.meta.url)

/** Routes of the page that shows the document. They are no part of the API. */
const PAGE = ['GET /docs', 'GET /docs/start.js', 'GET /docs/swagger-ui.css', 'GET /docs/swagger-ui-bundle.js']

interface PathItem {
  servers?: { url: string }[]
}

/** The routes of a path in the document, in Express's words. */
function routesAt([path, { servers, ...operations }]: [string, PathItem]): string[] {
  const route = path === '/' ? '^\\/$' : path.replaceAll(/\{(\w+)\}/g, ':$1')
  // Below /api/v1 unless the path has a server of its own, and then without it too.
  const routes = servers ? [route] : [route, `/api/v1${route}`]
  return Object.keys(operations).flatMap((method) => routes.map((path) => `${method.toUpperCase()} ${path}`))
}

describe('openapi.json', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  // Promise 94
  it('openapi.json: is what the schemas that validate requests and the table of problems make', () => {
    const made = `${JSON.stringify(createApiDocument(), null, 2)}\n`
    expect(readFileSync(FILE, 'utf8'), 'run node services/api/src/openapi/generate.ts').to.equal(made)
  })

  // Promise 94
  it('openapi.json: has every route of the API, and no other', () => {
    const { paths } = JSON.parse(readFileSync(FILE, 'utf8')) as { paths: Record<string, PathItem> }
    const documented = Object.entries(paths).flatMap(routesAt)
    expect(documented.toSorted()).to.deep.equal(
      routesOf(api.app)
        .filter((route) => !PAGE.includes(route))
        .toSorted(),
    )
  })
})
