import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { openSocket } from '@cashflow/testing'
import type { Clock } from '../src/time-limit.ts'

/** As if this very process were frozen, as by SIGSTOP, while its events wait; but only its clock moves on. */
export interface Freezer {
  readonly clock: Clock
  /** When this is read: what else has arrived by then is handled next, and only then the timers. */
  freezeNext(): void
  stop(): void
}

export async function createFreezer(frozenMs: number): Promise<Freezer> {
  let now = 0
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const bystander = openSocket(`tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`)
  const [socket] = (await once(listener, 'connection')) as [Socket]
  socket.on('error', () => {})
  socket.once('data', () => {
    now += frozenMs
  })
  listener.close()
  return {
    clock: () => now,
    freezeNext: () => void bystander.write('now'),
    stop: () => void bystander.destroy(),
  }
}
