import { once } from 'node:events'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { tlsFault } from '@cashflow/async'
import { certificateLine } from './certificates.ts'
import { type Line, lineOf, wrong } from './line.ts'

const LOOK_MS = 5_000

/** True for the URL of a server on this machine. */
export function isThisMachine(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(URL.parse(url)?.hostname ?? '')
}

/**
 * Looks at the certificate of a server that speaks TLS at once. It is looked at, and not refused, if it has expired or is not
 * trusted.
 *
 * @param options authorities, the own certificate, and the name that the certificate must have if it is not the host's
 */
export function serverCertificateLine(check: string, url: string, options: ConnectionOptions = {}): Promise<Line> {
  return lineOf(check, async () => {
    const { hostname, port } = new URL(url)
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = connect({ ...name, ...options, host, port: Number(port || 443), rejectUnauthorized: false })
    try {
      await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LOOK_MS) })
      const certificate = socket.getPeerX509Certificate()
      if (!certificate) return wrong(check, 'it presents none')
      return certificateLine(check, certificate, socket.authorized ? undefined : String(socket.authorizationError))
    } catch (error) {
      const fault = tlsFault(error)
      if (fault) return wrong(check, `${fault.reason}.`)
      throw error
    } finally {
      socket.destroy()
    }
  })
}
