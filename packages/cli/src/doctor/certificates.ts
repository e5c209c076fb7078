import type { X509Certificate } from 'node:crypto'
import { certificatesIn, readCertificates } from '@cashflow/runtime'
import { type Line, lineOf, ok, warning, wrong } from './line.ts'

const DAY_MS = 86_400_000
/** Days before its end from which a certificate is to be replaced. */
const SOON_DAYS = 30

/**
 * Says when a certificate ends.
 *
 * @param fault why it is not trusted, if it is not
 */
export function certificateLine(check: string, certificate: X509Certificate, fault?: string, now = Date.now()): Line {
  const [from, until] = [certificate.validFromDate, certificate.validToDate]
  const days = Math.floor((until.getTime() - now) / DAY_MS)
  const subject = certificate.subject?.replaceAll('\n', ', ') || certificate.subjectAltName || 'without a name'
  const dated = (text: string, date: Date) => `${subject}: ${text} ${date.toISOString().slice(0, 10)}`
  if (days < 0) return wrong(check, `${dated('ended on', until)}. Replace it.`)
  if (from.getTime() > now)
    return wrong(check, `${dated('is not valid before', from)}. Replace it, or correct the clock.`)
  if (fault !== undefined) return wrong(check, `${dated('valid until', until)}, but not trusted here: ${fault}`)
  if (days < SOON_DAYS) return warning(check, `${dated('ends on', until)}, in ${days} days. Replace it.`)
  return ok(check, `${dated('valid until', until)}, for ${days} days`)
}

/** The same for the certificate in a PEM file that ends first. Of a chain or a list, any one may end. */
export async function certificateFileLine(check: string, file: string | undefined): Promise<Line[]> {
  if (file === undefined) return []
  const line = await lineOf(check, async () => {
    const { ca = Buffer.alloc(0) } = readCertificates({ ca: file })
    const [first] = certificatesIn(ca, file).toSorted(
      (one, other) => one.validToDate.getTime() - other.validToDate.getTime(),
    )
    return first ? certificateLine(check, first) : wrong(check, 'the file has no certificate')
  })
  return [line]
}
