/** RabbitMQ's management API. */
export interface Management {
  /** With login. */
  url: string
  /** A call such as `('GET', '/queues/%2F/payments')`; the answer is parsed JSON. */
  request(method: string, path: string, body?: unknown): Promise<unknown>
}

export function management(url: string): Management {
  const { username, password, origin } = new URL(url)
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  return {
    url,
    async request(method, path, body) {
      const response = await fetch(`${origin}/api${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return text ? JSON.parse(text) : undefined
    },
  }
}
