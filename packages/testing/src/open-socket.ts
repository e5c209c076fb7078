import { connect, type Socket } from 'node:net'

/**
 * Opens a plain connection to the host and port of a URL, for a test that sends its own bytes. An error rejects
 * `once(socket, …)` and readers of the socket. An error that the test does not wait for, such as a late reset, fails no
 * test.
 */
export function openSocket(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname).on('error', () => {})
}
