import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import * as z from 'zod'
import { createCondition } from './condition.ts'
import type { Logger } from './logger.ts'
import { readSmallFile, shownPath } from './small-file.ts'

/** Paths of PEM files: authorities to verify the other side with, and the certificate chain and private key of this side. */
export interface CertificatePaths {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** What the files hold, as `tls.connect` and `createSecureContext` take it. A file that is not named has no member. */
export interface Certificates {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** Files that TLS cannot use. The message names the file, and shows nothing of what is in it. */
export class CertificateError extends Error {
  readonly code = 'certificate_unusable'
  /** True if the file may be the right one, and only reading it failed. */
  readonly isUnread: boolean

  constructor(message: string, { isUnread = false } = {}) {
    super(message)
    this.isUnread = isUnread
  }
}

const PARTS = ['ca', 'cert', 'key'] as const

/**
 * Keeps the content of certificate files and reads them again when one of them changes. Call `read` for each new connection.
 * It costs one `stat` for each file. Links are followed, because Kubernetes replaces files by changing a link.
 *
 * @param what the server or the listener that the files are for, such as `PostgreSQL`, for the log
 */
export function createCertificates(paths: CertificatePaths, { what, logger }: { what: string; logger: Logger }) {
  let inUse: Certificates | undefined
  let lookedAt: string | undefined
  let fault: CertificateError | undefined
  const unusable = createCondition(logger, {
    message: 'changed certificate files cannot be used, the former certificates stay in use',
    ended: 'certificate files can be used again',
  })

  function load(): void {
    try {
      const found = readCertificates(paths)
      if (inUse && !isSame(inUse, found)) logger.info('new certificates in use', { for: what, ...endsOf(found) })
      inUse = found
      fault = undefined
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      fault = error
    }
  }

  return {
    /**
     * Returns the certificates as they are in the files now. While the files cannot be used, as in the middle of a
     * replacement, it returns the former ones and logs the reason.
     *
     * @throws CertificateError if the files have never been usable
     */
    read(): Certificates {
      // Before the files are read: a file that is replaced in between is then read again next time.
      const now = fingerprint(paths)
      if (now !== lookedAt) load()
      // What made reading fail may end without a change of the file.
      lookedAt = fault?.isUnread ? undefined : now
      if (fault && inUse) unusable.holds({ for: what, reason: fault.message })
      else unusable.ended({ for: what })
      if (!inUse) throw fault
      return inUse
    },
  }
}

/** Changes whenever one of the files does. */
function fingerprint(paths: CertificatePaths): string {
  return PARTS.map((part) => fileState(paths[part])).join(' ')
}

function fileState(path: string | undefined): string {
  if (path === undefined) return ''
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/**
 * Reads the files and checks them together.
 *
 * @throws CertificateError
 */
export function readCertificates(paths: CertificatePaths): Certificates {
  const ca = paths.ca === undefined ? undefined : readFile(paths.ca)
  const cert = paths.cert === undefined ? undefined : readFile(paths.cert)
  const key = paths.key === undefined ? undefined : readFile(paths.key)
  if (ca) certificatesIn(ca, paths.ca)
  const [own] = cert ? certificatesIn(cert, paths.cert) : []
  const secret = key && privateKeyIn(key, paths.key)
  if (own && secret && !own.checkPrivateKey(secret))
    throw new CertificateError(
      `the file ${shownPath(paths.key)} is not the private key of the certificate ${shownPath(paths.cert)}`,
    )
  const found = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  try {
    createSecureContext(found)
  } catch (error) {
    const names = PARTS.flatMap((part) => (paths[part] === undefined ? [] : shownPath(paths[part])))
    throw new CertificateError(`the files ${names.join(', ')} cannot be used: ${(error as Error).message}`)
  }
  return found
}

function readFile(path: string): Buffer {
  try {
    return readSmallFile(path)
  } catch (error) {
    throw new CertificateError(`the file ${shownPath(path)} cannot be read: ${(error as Error).message}`, {
      isUnread: true,
    })
  }
}

const BEGIN = '-----BEGIN CERTIFICATE-----'
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * Reads the certificates of a PEM file, in their order. Node ignores authorities that it cannot read, so a connection would
 * only fail later.
 *
 * @throws CertificateError without a certificate, or with a damaged one
 */
export function certificatesIn(pem: Buffer, path = ''): readonly X509Certificate[] {
  const text = pem.toString('latin1')
  const blocks = text.match(BLOCK) ?? []
  if (!text.includes(BEGIN)) throw new CertificateError(`the file ${shownPath(path)} has no certificate in PEM form`)
  try {
    const certificates = blocks.map((block) => new X509Certificate(block))
    if (certificates.length === text.split(BEGIN).length - 1) return certificates
  } catch {
    // Its message is about ASN.1.
  }
  throw new CertificateError(`the file ${shownPath(path)} has a damaged certificate`)
}

function privateKeyIn(pem: Buffer, path: string | undefined): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new CertificateError(`the file ${shownPath(path)} has no private key in PEM form that needs no passphrase`)
  }
}

function isSame(one: Certificates, other: Certificates): boolean {
  return PARTS.every((part) => (one[part] ?? Buffer.alloc(0)).equals(other[part] ?? Buffer.alloc(0)))
}

/** When the first authority and the own certificate end, for the log. */
function endsOf({ ca, cert }: Certificates) {
  const end = (pem: Buffer) => certificatesIn(pem)[0]?.validToDate.toISOString()
  return { ...(ca && { ca_until: end(ca) }), ...(cert && { certificate_until: end(cert) }) }
}

/** A setting that names a PEM file with one or more certificates. */
export const certificateFile = fileWith((path) => void certificatesIn(readFile(path), path))

/** A setting that names a PEM file with a private key that needs no passphrase. */
export const keyFile = fileWith((path) => void privateKeyIn(readFile(path), path))

function fileWith(check: (path: string) => void) {
  return z.string().superRefine((path, context) => {
    const fault = faultOf(() => check(path))
    if (fault !== undefined) context.addIssue(fault)
  })
}

/**
 * Checks a certificate and its private key for settings whose files are readable.
 *
 * @param names the names of the two settings, for the reason
 * @returns why they cannot be used: only one is given, or they do not belong together
 */
export function pairFault(
  { cert, key }: Pick<CertificatePaths, 'cert' | 'key'>,
  names: { cert: string; key: string },
): string | undefined {
  if (cert === undefined && key === undefined) return undefined
  if (key === undefined) return `needs ${names.key} as well`
  if (cert === undefined) return `needs ${names.cert} as well`
  return faultOf(() => void readCertificates({ cert, key }))
}

function faultOf(check: () => void): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof CertificateError) return error.message
    throw error
  }
}
