import 'reflect-metadata' // Before @peculiar/x509, which needs it.
import type { webcrypto } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

export interface IssueOptions {
  /** DNS names and IP addresses that the certificate is for. Default: localhost, 127.0.0.1 and ::1. */
  names?: readonly string[]
  /** The common name of its owner, such as a PostgreSQL role. Default: the name of the files. */
  commonName?: string
  /** Default: an hour ago. */
  notBefore?: Date
  /** Default: in a year. */
  notAfter?: Date
}

/** Paths of PEM files. */
export interface IssuedFiles {
  readonly cert: string
  readonly key: string
}

export type Authority = Awaited<ReturnType<typeof createAuthority>>

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000
const YEAR_MS = 365 * 24 * HOUR_MS

/**
 * Makes a private certificate authority, and writes its certificate to `ca.pem` in the folder, which is created.
 *
 * @param options when its certificate begins and ends. Default: an hour ago, in a year
 */
export async function createAuthority(folder: string, options: Pick<IssueOptions, 'notBefore' | 'notAfter'> = {}) {
  await mkdir(folder, { recursive: true })
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // A name of its own: OpenSSL looks for the authority by its name, and reports a wrong one differently.
    name: [{ CN: [`Test authority ${crypto.randomUUID()}`] }],
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(options),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const ca = join(folder, 'ca.pem')
  await replaceFile(ca, certificate.toString('pem'))
  return {
    /** Path of the authority's certificate. */
    ca,
    /**
     * Issues a certificate for servers and clients, and writes `<name>.pem` and `<name>.key` to the folder. Files of that
     * name are replaced, each at once.
     */
    async issue(name: string, options: IssueOptions = {}): Promise<IssuedFiles> {
      const { names = ['localhost', '127.0.0.1', '::1'], commonName = name } = options
      const own = await newKeys()
      const issued = await x509.X509CertificateGenerator.create({
        subject: [{ CN: [commonName] }],
        issuer: certificate.subjectName.toJSON(),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        ...validity(options),
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
          ),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      })
      const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
      const secret = await crypto.subtle.exportKey('pkcs8', own.privateKey)
      await replaceFile(files.cert, issued.toString('pem'))
      await replaceFile(files.key, x509.PemConverter.encode(secret, 'PRIVATE KEY'))
      return files
    },
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function validity({
  notBefore = new Date(Date.now() - HOUR_MS),
  notAfter = new Date(Date.now() + YEAR_MS),
}: Pick<IssueOptions, 'notBefore' | 'notAfter'>) {
  return { notBefore, notAfter }
}

async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, `${text}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
}
