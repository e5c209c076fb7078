import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'

/**
 * Opens a connection to the host and port of a URL, for a test that sends its own bytes: a plain one, or for `https:` one
 * with TLS that verifies nothing. An error rejects `once(socket, …)` and readers of the socket. An error that the test does
 * not wait for, such as a late reset, fails no test.
 */
export function openSocket(url: string): Socket {
  const { protocol, hostname, port } = new URL(url)
  const address = { host: hostname, port: Number(port) }
  const socket = protocol === 'https:' ? connectSecurely({ ...address, rejectUnauthorized: false }) : connect(address)
  return socket.on('error', () => {})
}
