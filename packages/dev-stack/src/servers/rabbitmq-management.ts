import { connect } from 'node:net'

const ANSWER_MS = 60_000
const READY_ANSWER_MS = 2_000

/** A client of RabbitMQ's management API at this address, which has user and password. */
export function management(url: string, { answerMs = ANSWER_MS } = {}) {
  const { username, password, origin } = new URL(url)
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  return {
    /**
     * Sends a request such as `('GET', '/queues/%2F/payments')`, and returns the parsed answer.
     *
     * @throws Error with the answer's text unless its status is 2xx
     */
    async request(method: string, path: string, body?: unknown): Promise<unknown> {
      const response = await fetch(`${origin}/api${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        signal: AbortSignal.timeout(answerMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return text ? JSON.parse(text) : undefined
    },
  }
}

/** One GET request. Returns undefined for every failure, including an answer that takes over two seconds. */
export async function askManagement<Answer>(url: string, path: string): Promise<Answer | undefined> {
  const answer = management(url, { answerMs: READY_ANSWER_MS }).request('GET', path)
  return (await answer.catch(() => undefined)) as Answer | undefined
}

interface Overview {
  cluster_name?: string
  listeners?: { protocol: string }[]
}

/**
 * Returns whether one broker answers on both ports: the management API, under this cluster name if one is given, and
 * AMQP. Another broker may listen on either port, and the management API answers before AMQP does.
 */
export async function isRabbitmqReady(
  { managementUrl, amqpPort }: { managementUrl: string; amqpPort: number },
  clusterName?: string,
): Promise<boolean> {
  const overview = await askManagement<Overview>(managementUrl, '/overview')
  if (!overview || (clusterName !== undefined && overview.cluster_name !== clusterName)) return false
  return (overview.listeners ?? []).some(({ protocol }) => protocol === 'amqp') && (await speaksAmqp(amqpPort))
}

/** A ready server answers the protocol header with Connection.Start, which is a method frame (AMQP 0-9-1, 4.2.2). */
function speaksAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(READY_ANSWER_MS, () => end(false))
    socket.once('connect', () => socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1')))
    socket.once('data', (data) => end(data[0] === 1))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
