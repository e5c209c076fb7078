import { once } from 'node:events'
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import type { SandboxState } from '../../src/sandbox/sandbox.ts'

/** What the sandbox answers: its state, or an error. */
export interface SandboxAnswer {
  readonly status: number
  readonly body: SandboxState & { error?: string }
}

/** Sends a request to the socket of a sandbox. */
export async function askSandbox(socketPath: string, call = 'GET /', body?: unknown): Promise<SandboxAnswer> {
  const [method = 'GET', path = '/'] = call.split(' ')
  const sent = request({ socketPath, method, path, agent: false })
  sent.end(typeof body === 'string' ? body : JSON.stringify(body))
  const [answer] = await once(sent, 'response')
  return { status: answer.statusCode, body: (await json(answer)) as SandboxAnswer['body'] }
}
