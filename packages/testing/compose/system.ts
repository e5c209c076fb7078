import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import { management, query as queryOn } from '@cashflow/dev-stack'
import { REPOSITORY } from '../src/repository.ts'
import type { Command } from './project-env.ts'

const execute = promisify(execFile)
const { env } = process

/** Runs Compose on the project under test. */
export async function compose(...args: string[]): Promise<string> {
  const [program, ...first] = JSON.parse(defined(env.COMPOSE_COMMAND, 'COMPOSE_COMMAND')) as Command
  return output(program, ...first, ...args)
}

interface Inspected {
  Config: { Labels: Record<string, string> }
  State: { Running: boolean; ExitCode: number }
  HostConfig: { LogConfig: { Type: string; Config: Record<string, string> } }
}

async function inspect(services: string[]): Promise<Inspected[]> {
  const ids = (await compose('ps', '--all', '--quiet', ...services)).split('\n').filter(Boolean)
  return JSON.parse(await output('docker', 'inspect', ...ids)) as Inspected[]
}

/** The log driver and its limits of each container of these services. */
export async function logging(...services: string[]) {
  const inspected = await inspect(services)
  return inspected.map(({ HostConfig: { LogConfig } }) => ({ driver: LogConfig.Type, options: LogConfig.Config }))
}

/** The containers of these services, including stopped ones. */
export async function containers(...services: string[]) {
  return (await inspect(services)).map(({ Config, State }) => ({
    service: defined(Config.Labels['com.docker.compose.service'], 'label of the service'),
    running: State.Running,
    exitCode: State.ExitCode,
  }))
}

async function output(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { cwd: REPOSITORY, maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

export interface Payment {
  id: string
  status: string
}

export async function postPayment(body: object, path = '/api/v1/payments'): Promise<Payment> {
  const answer = await api(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (answer.status !== 201) throw new Error(`POST ${path} answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Payment
}

export async function getPayment(id: string, path = '/api/v1/payments'): Promise<Payment> {
  const answer = await api(`${path}/${id}`)
  if (answer.status !== 200) throw new Error(`GET ${path}/${id} answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Payment
}

export function api(path: string, request: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${env.API_PORT}${path}`, { signal: AbortSignal.timeout(10_000), ...request })
}

/** Publishes as the management UI's "Publish message" does: any body, without message id and headers. */
export async function publishByHand(queue: string, body: string): Promise<void> {
  const { request } = management(`http://guest:guest@127.0.0.1:${env.RABBITMQ_MANAGEMENT_PORT}`)
  const message = { properties: {}, routing_key: queue, payload: body, payload_encoding: 'string' }
  const result = (await request('POST', '/exchanges/%2F/amq.default/publish', message)) as { routed?: boolean }
  if (!result.routed) throw new Error(`${body} did not reach ${queue}: ${JSON.stringify(result)}`)
}

export function query<Row extends object>(sql: string): Promise<Row[]> {
  const url = `postgres://postgres:postgres@127.0.0.1:${env.POSTGRES_PORT}/payments`
  return queryOn<Row>(url, sql, { query_timeout: 10_000 })
}
