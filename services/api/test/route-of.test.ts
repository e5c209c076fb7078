import { expect } from 'chai'
import * as fc from 'fast-check'
import { NO_ROUTE, routeOf } from '../src/route-of.ts'
import { routesOf } from './routes-of.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('route of a request in metrics', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  it('each route of the API is named by its pattern, without its version', () => {
    for (const route of routesOf(api.app)) {
      const pattern = (route.split(' ')[1] ?? '').replace('^\\/$', '/')
      const named = pattern.replace('/api/v1', '').replace(/^\/docs\/.*/, '/docs')
      const path = pattern.replaceAll(/:(id|check)/g, '0198c6a0-0000-7000-8000-000000000000')
      expect(routeOf(path), route).to.equal(named)
    }
  })

  it('no path of a client becomes a name', () => {
    const known = new Set(routesOf(api.app).map((route) => route.split(' ')[1]?.replace('/api/v1', '')))
    const part = fc.constantFrom(
      '',
      'api',
      'v1',
      'payments',
      'test',
      'events',
      'cancel',
      'webhook-endpoints',
      'replay',
      'deliveries',
      'docs',
      '..',
      '%2F',
      'x',
      ':id',
    )
    const path = fc.array(fc.oneof(part, fc.string()), { maxLength: 6 }).map((parts) => `/${parts.join('/')}`)
    fc.assert(
      fc.property(path, (given) => routeOf(given) === NO_ROUTE || routeOf(given) === '/' || known.has(routeOf(given))),
    )
    for (const given of ['/payments/1/2', '/api/v1', '/api/v1/docs', '/PAYMENTS', '/health/x', '/constructor'])
      expect(routeOf(given), given).to.equal(NO_ROUTE)
  })
})
