import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'
import type { Logger } from '@cashflow/runtime'
import { type RequestHandler, Router } from 'express'
import type { SandboxAnswer } from '../answers.ts'
import { Refusal } from './refusal.ts'

const ANSWER_MS = 5_000

/** Forwards requests about the sandbox to the stack that started this api, and its answers to the page. */
export function sandboxRoutes(socketPath: string, logger: Logger): Router {
  const to = (path: string): RequestHandler => {
    return async ({ method, body }, res) => {
      const { status, answer } = await ask({ socketPath, method, path }, body).catch((error: unknown) => {
        logger.warn('the sandbox does not answer the console', { method, path, error })
        throw new Refusal(503, 'The sandbox does not answer: npm start may be starting, stopping or gone.')
      })
      res.status(status).json(answer)
    }
  }
  return Router()
    .get('/sandbox', to('/'))
    .post('/sandbox/payments', to('/payments'))
    .delete('/sandbox/payments', to('/payments'))
    .post('/sandbox/faults', to('/faults'))
    .delete('/sandbox/counter', to('/counter'))
}

interface Asked {
  readonly socketPath: string
  readonly method: string
  readonly path: string
}

async function ask(
  asked: Asked,
  body: unknown,
): Promise<{ status: number; answer: SandboxAnswer | { readonly error: string } }> {
  const sent = request({ ...asked, agent: false, signal: AbortSignal.timeout(ANSWER_MS) })
  const answered = once(sent, 'response')
  sent.end(asked.method === 'POST' ? JSON.stringify(body ?? {}) : undefined)
  const [response] = (await answered) as [IncomingMessage]
  return { status: Number(response.statusCode), answer: (await json(response)) as SandboxAnswer }
}
