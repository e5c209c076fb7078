/** One broker of `RABBITMQ_URL`. `name` may be shown; the URL and the password may not. */
export interface Endpoint {
  /** `host:port/vhost`, for logs. */
  readonly name: string
  readonly url: string
  /** True for `amqps://`. */
  readonly isEncrypted: boolean
  readonly username: string
  readonly password: string
}

/** @throws TypeError that gives the position in the list, and not the URL, which contains a password */
export function parseEndpoints(urls: readonly string[], heartbeatSeconds: number): readonly Endpoint[] {
  if (urls.length === 0) throw new TypeError('no RabbitMQ URL given')
  return urls.map((url, index) => parseEndpoint(url, index, heartbeatSeconds))
}

function parseEndpoint(text: string, index: number, heartbeatSeconds: number): Endpoint {
  try {
    const url = new URL(text)
    if (url.protocol !== 'amqp:' && url.protocol !== 'amqps:') throw new TypeError('wrong protocol')
    if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(heartbeatSeconds))
    const isEncrypted = url.protocol === 'amqps:'
    const port = url.port || (isEncrypted ? '5671' : '5672')
    const anonymous = url.username === '' && url.password === ''
    return {
      name: `${url.hostname}:${port}${url.pathname || '/'}`,
      url: url.href,
      isEncrypted,
      // We decode user and password: amqplib decodes with unescape(), which breaks every login that is not ASCII.
      username: anonymous ? 'guest' : decodeURIComponent(url.username),
      password: anonymous ? 'guest' : decodeURIComponent(url.password),
    }
  } catch {
    throw new TypeError(`RabbitMQ URL ${index + 1} is not an amqp:// or amqps:// URL`)
  }
}
