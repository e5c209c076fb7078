import type { BrokerEncryption } from '@cashflow/messaging'
import { type BrokerTls, CertificateError, readCertificates } from '@cashflow/runtime'
import { certificateFileLine } from './certificates.ts'
import { type Line, ok, warning, wrong } from './line.ts'
import { isThisMachine, serverCertificateLine } from './server-certificate.ts'

const ENCRYPTION = 'TLS to RabbitMQ'

/** Says how a connection is encrypted. */
export function brokerEncryptionLine(url: string, encryption: BrokerEncryption | undefined, { ca }: BrokerTls): Line {
  if (encryption) {
    const authority = ca ?? 'the authorities that Node trusts'
    const found = `encrypted with ${encryption.protocol}, ${encryption.cipher}`
    return ok(ENCRYPTION, `${found}; certificate and host name are verified by ${authority}`)
  }
  if (isThisMachine(url)) return ok(ENCRYPTION, 'not encrypted, on this machine')
  return warning(ENCRYPTION, 'not encrypted. Set MQ_TLS=yes and MQ_TLS_CA, see "TLS from zero" in docs/operations.md.')
}

/** Says when the certificates of each RabbitMQ, of the authority and of this client end. */
export async function brokerCertificateLines(urls: readonly string[], tls: BrokerTls): Promise<Line[]> {
  const { servername, ...paths } = tls
  const encrypted = urls.filter((url) => url.startsWith('amqps:'))
  if (encrypted.length === 0) return []
  try {
    const options = { ...readCertificates(paths), ...(servername !== undefined && { servername }) }
    const lines: Line[] = []
    for (const url of encrypted) {
      const { host, port } = new URL(url)
      const place = port ? host : `${host}:5671`
      lines.push(await serverCertificateLine(`certificate of RabbitMQ at ${place}`, `amqps://${place}`, options))
    }
    lines.push(...(await certificateFileLine('authority of RabbitMQ, MQ_TLS_CA', paths.ca)))
    lines.push(...(await certificateFileLine('own certificate, MQ_TLS_CERT', paths.cert)))
    return lines
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    return [wrong(ENCRYPTION, error.message)]
  }
}
