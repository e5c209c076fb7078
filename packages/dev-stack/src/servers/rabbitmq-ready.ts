import { connect } from 'node:net'
import { askManagement } from './rabbitmq-management.ts'

const ANSWER_MS = 2_000

type Ports = { amqp: number; management: number }

/**
 * AMQP and the management API answer, the latter in the name of this cluster if one is given, and both of one broker:
 * another may have been listening on either port all along, and management answers before AMQP does.
 */
export async function isRabbitmqReady({ amqp, management }: Ports, clusterName?: string): Promise<boolean> {
  const overview = await askManagement<Overview>(management, '/overview')
  if (!overview || (clusterName !== undefined && overview.cluster_name !== clusterName)) return false
  return (overview.listeners ?? []).some(({ protocol }) => protocol === 'amqp') && (await speaksAmqp(amqp))
}

interface Overview {
  cluster_name?: string
  /** The broker's own. */
  listeners?: { protocol: string }[]
}

/** Sends the protocol header; a server that is ready answers with Connection.Start, a method frame (AMQP 0-9-1, 4.2.2). */
function speaksAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(ANSWER_MS, () => end(false))
    socket.once('connect', () => socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1')))
    socket.once('data', (data) => end(data[0] === 1))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
