import { AUTH } from '../auth/merchant-keys.ts'
import type { Answer } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import { type ApiUnderTest, type StartOptions, startApi } from '../start-api.ts'
import { type Operation, operationOf } from './contract.ts'
import { ask } from './requests.ts'

/** The APIs that the contract test starts, each with what provokes some of the answers. */
export const APIS = {
  ordinary: {},
  keyed: { auth: AUTH },
  impatient: { headersMs: 100 },
  limited: { rateLimit: 1 },
  full: { runningMax: 0, queueMax: 0 },
  crowded: {},
  unconfigured: { webhooks: null },
  cutOff: {},
  broken: {},
} as const satisfies Record<string, StartOptions>

export type ApiName = keyof typeof APIS

/** Starts an API, and cuts it from PostgreSQL or gives it a bug where its name says so. */
export async function startNamed(name: ApiName): Promise<ApiUnderTest> {
  const api = await startApi(APIS[name])
  if (name === 'cutOff') api.proxy.cut()
  // Thrown in the first handler that looks at the answer, so at every route.
  if (name === 'broken')
    Object.assign(api.app.response, {
      once() {
        throw new Error('a bug')
      },
    })
  return api
}

export type Provocation = [api: ApiName, provoke: (api: ApiUnderTest, operation: Operation) => Promise<Answer>]

/** @returns the id of a new payment */
export async function created(api: ApiUnderTest): Promise<string> {
  const { body } = await ask(api, operationOf('createPayment'), {
    body: `${bodyWith().slice(0, -1)}, "metadata": {"order": "4711"}}`,
  })
  return body.id
}
