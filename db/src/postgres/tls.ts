import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { CertificateError, createCertificates, type DatabaseTls, type Logger } from '@cashflow/runtime'
import type { Host } from './hosts.ts'
import { DatabaseTlsError, NO_TLS } from './tls-errors.ts'

/** What a session needs to know of TLS. */
export interface SessionTls {
  /**
   * Returns the options of one connection, with the certificates as they are in their files now.
   *
   * @throws DatabaseTlsError if the files have never been usable
   */
  readonly options: () => ConnectionOptions
  /** TLS begins at once, without SSLRequest. */
  readonly isDirect: boolean
}

/**
 * Returns a function that gives the part of a session's configuration that is about TLS.
 *
 * @param tls undefined if the URL says nothing about it: then there is none
 */
export function createTls(tls: DatabaseTls | undefined, logger: Logger) {
  const session = tls && tls.mode !== 'disable' ? sessionTls(tls, logger) : undefined
  return ({ name }: Pick<Host, 'name'>): { tls?: SessionTls; ssl?: false } => {
    // As in libpq, there is no TLS on a Unix socket.
    return session && !name.startsWith('/') ? { tls: session } : { ssl: false }
  }
}

function sessionTls({ mode, paths, isDirect }: DatabaseTls, logger: Logger): SessionTls {
  const certificates = createCertificates(paths, { what: 'PostgreSQL', logger })
  return {
    isDirect,
    options() {
      try {
        const options: ConnectionOptions = {
          ...certificates.read(),
          rejectUnauthorized: mode !== 'require',
          minVersion: 'TLSv1.2',
        }
        // Any name is accepted if the authority has issued the certificate.
        if (mode === 'verify-ca') options.checkServerIdentity = () => undefined
        return options
      } catch (error) {
        if (!(error instanceof CertificateError)) throw error
        throw new DatabaseTlsError(error.message, 'DB_SSLROOTCERT, DB_SSLCERT and DB_SSLKEY')
      }
    },
  }
}

export interface ServerAddress {
  /** A name, an IP address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
}

/** PostgreSQL's code of an SSLRequest, after the length of the message. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/**
 * Opens a connection with PostgreSQL's port that pg does not use, and begins TLS on it as a session would (Frontend/Backend
 * Protocol, "SSL Session Encryption"). The process may end while it is open.
 *
 * @throws Error, also when `limitMs` have passed
 */
export async function openServerSocket(
  { host, port }: ServerAddress,
  { options, isDirect, limitMs }: { options?: ConnectionOptions | undefined; isDirect: boolean; limitMs: number },
): Promise<Socket> {
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  const ending = new AbortController()
  const limit = setTimeout(() => socket.destroy(new Error('timeout expired')), limitMs).unref()
  socket.unref().once('close', () => ending.abort())
  socket.on('error', () => {})
  const { signal } = ending
  try {
    await once(socket, 'connect', { signal })
    if (!options) return socket
    if (!isDirect) {
      socket.write(SSL_REQUEST)
      const [answer] = await once(socket, 'data', { signal })
      if (String(answer) !== 'S') throw new Error(NO_TLS)
    }
    const secure = connectTls({
      ...options,
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ...(isDirect && { ALPNProtocols: ['postgresql'] }),
    })
    secure.on('error', () => {})
    await once(secure, 'secureConnect', { signal })
    return secure
  } catch (error) {
    socket.destroy()
    throw (error as Error).name === 'AbortError' ? new Error('Connection terminated unexpectedly') : error
  } finally {
    clearTimeout(limit)
  }
}
