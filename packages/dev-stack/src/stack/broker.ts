import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { startRabbitmq } from '../servers/rabbitmq.ts'
import { choosePort, onPorts } from './choose-port.ts'
import type { StackContext } from './stack.ts'

export type Broker = { url: string; managementUrl: string; pid(): number | undefined; stop(): Promise<void> }

const MANAGEMENT_PORT = 15672

export async function startBroker(context: StackContext, signal: AbortSignal): Promise<Broker> {
  const { stateDir, settings, serverPorts, fresh, say, supervise, onSpawn } = context
  if (settings.given.rabbitmqUrl) return givenBroker(settings.given.rabbitmqUrl, say)

  const dir = join(stateDir, 'rabbitmq')
  if (fresh) rmSync(dir, { recursive: true, force: true })
  say('starting RabbitMQ, which takes some seconds')
  const choose = async () => ({
    amqp: await choosePort('RabbitMQ', serverPorts.rabbitmq, say),
    management: await choosePort('RabbitMQ management', serverPorts.management, say),
  })
  const { ports, server } = await onPorts(choose, (ports) => {
    const onSpawned = (pid: number, role: 'rabbitmq' | 'epmd') => onSpawn(role)(pid)
    const start = (until: AbortSignal) =>
      startRabbitmq({ dir, ports, outlive: true, log: say, onSpawn: onSpawned, signal: until })
    return supervise('RabbitMQ', start, signal)
  })
  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}/`,
    managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
    pid: () => server.current()?.pid,
    stop: server.stop,
  }
}

/** Management is taken to be where RabbitMQ has it by default: nothing says otherwise. */
function givenBroker(url: string, say: (line: string) => void): Broker {
  const { username, password, hostname, host } = new URL(url.split(',')[0] as string)
  say(`using the RabbitMQ at ${host}, which RABBITMQ_URL or MQ_HOST asks for`)
  return {
    url,
    managementUrl: `http://${username || 'guest'}:${password || 'guest'}@${hostname}:${MANAGEMENT_PORT}`,
    pid: () => undefined,
    stop: async () => {},
  }
}
