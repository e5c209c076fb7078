import { readCertificates } from '@cashflow/runtime'
import type { OperatorSettings } from '../settings.ts'
import { certificateFileLine } from './certificates.ts'
import { type Line, lineOf, ok, warning } from './line.ts'
import { isThisMachine, serverCertificateLine } from './server-certificate.ts'

/** Says when the certificates of the API and of the provider end, as far as settings here name them. */
export async function httpsLines({ env }: OperatorSettings): Promise<Line[]> {
  return [
    ...(await certificateFileLine('certificate of the API, API_TLS_CERT', env.API_TLS_CERT || undefined)),
    ...(await providerLines(env.PROVIDER_URL || undefined, env.PROVIDER_TLS_CA || undefined)),
  ]
}

async function providerLines(url: string | undefined, ca: string | undefined): Promise<Line[]> {
  const check = 'TLS to the provider'
  if (url === undefined) return []
  if (!url.startsWith('https:') && isThisMachine(url)) return [ok(check, 'not encrypted, on this machine')]
  if (!url.startsWith('https:'))
    return [warning(check, 'not encrypted. Charges and the token are readable on the way: use https in PROVIDER_URL.')]
  const line = await lineOf(check, async () =>
    serverCertificateLine('certificate of the provider', url, readCertificates({ ca })),
  )
  const by = ok(
    check,
    `encrypted; certificate and host name are verified by ${ca ?? 'the authorities that Node trusts'}`,
  )
  return [
    ...(line.ok ? [by] : []),
    line,
    ...(await certificateFileLine('authority of the provider, PROVIDER_TLS_CA', ca)),
  ]
}
