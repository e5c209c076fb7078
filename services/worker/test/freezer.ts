import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { openSocket } from '@cashflow/testing'
import type { Clock } from '../src/time-limit.ts'

/** Simulates that this process is frozen, as by SIGSTOP: only its clock moves forward, while its events wait. */
export interface Freezer {
  readonly clock: Clock
  /** Freezes the process when it next reads input. Other input that has arrived is handled before the timers. */
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
