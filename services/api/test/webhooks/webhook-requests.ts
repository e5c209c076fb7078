import type { Response } from 'supertest'
import type { ApiUnderTest } from '../start-api.ts'

export const URL_OF_SHOP = 'https://hooks.example.com/cashflow'

type Method = 'get' | 'post' | 'patch' | 'delete'

/** Sends a request with a JSON body, or without a body. */
export async function send(
  api: ApiUnderTest,
  method: Method,
  path: string,
  body?: object,
  { key }: { key?: string } = {},
): Promise<Response> {
  const request = api.agent[method](path)
  if (key !== undefined) request.set('Authorization', `Bearer ${key}`)
  return await (body === undefined ? request : request.set('Content-Type', 'application/json').send(body))
}

export const createEndpoint = (api: ApiUnderTest, body: object = {}, options?: { key?: string }): Promise<Response> =>
  send(api, 'post', '/webhook-endpoints', { url: URL_OF_SHOP, ...body }, options)
