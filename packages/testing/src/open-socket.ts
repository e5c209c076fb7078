import { connect, type Socket } from 'node:net'

/**
 * Opens a plain connection to the host and port of a URL, for a test that sends bytes of its own. An error still ends
 * `once(socket, …)` and readers of the socket. As an event alone, such as a reset at its end, it ends no test.
 */
export function openSocket(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname).on('error', () => {})
}
