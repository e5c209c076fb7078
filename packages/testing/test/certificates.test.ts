import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CertificateError,
  type CertificatePaths,
  certificateFile,
  certificatesIn,
  createCertificates,
  keyFile,
  pairFault,
} from '@cashflow/runtime'
import { expect } from 'chai'
import * as z from 'zod'
import { createAuthority, type IssuedFiles } from '../src/certificates.ts'
import { recordingLogger } from '../src/fixtures.ts'

describe('certificate files', () => {
  let folder: string
  let ca: string
  let first: IssuedFiles
  let second: IssuedFiles
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cashflow-test-'))
    const authority = await createAuthority(join(folder, 'authority'))
    ca = authority.ca
    first = await authority.issue('first', { names: ['db.example', '10.0.0.1'], commonName: 'cashflow' })
    second = await authority.issue('second', { notAfter: new Date('2020-01-01') })
  })
  after(() => rmSync(folder, { recursive: true }))

  const textOf = (file: string) => readFileSync(file, 'utf8')

  /** Writes a folder as Kubernetes does: the files are links through the link `data`, which changes at once. */
  function mounted(files: IssuedFiles) {
    const root = mkdtempSync(join(folder, 'mounted-'))
    const paths = { ca: join(root, 'ca.pem'), cert: join(root, 'tls.pem'), key: join(root, 'tls.key') }
    let count = 0
    const swap = ({ cert, key }: IssuedFiles) => {
      count += 1
      const data = `data-${count}`
      mkdirSync(join(root, data))
      for (const [name, file] of Object.entries({ 'ca.pem': ca, 'tls.pem': cert, 'tls.key': key }))
        writeFileSync(join(root, data, name), textOf(file))
      symlinkSync(data, join(root, 'data.new'))
      renameSync(join(root, 'data.new'), join(root, 'data'))
    }
    swap(files)
    for (const name of ['ca.pem', 'tls.pem', 'tls.key']) symlinkSync(`data/${name}`, join(root, name))
    return { paths, swap }
  }

  function opened(paths: CertificatePaths) {
    const log = recordingLogger()
    const certificates = createCertificates(paths, { what: 'PostgreSQL', logger: log.logger })
    return { ...log, read: () => certificates.read().cert?.toString() }
  }

  it('authority: issues a certificate with the names, the owner and the end that a test asks for', () => {
    const [issued] = certificatesIn(readFileSync(first.cert))
    const [authority] = certificatesIn(readFileSync(ca))
    expect(issued?.subject).to.equal('CN=cashflow')
    expect(issued?.subjectAltName).to.equal('DNS:db.example, IP Address:10.0.0.1')
    expect(authority && issued?.checkIssued(authority) && issued.verify(authority.publicKey)).to.equal(true)
    expect(certificatesIn(readFileSync(second.cert))[0]?.validToDate).to.deep.equal(new Date('2020-01-01'))
  })

  // Promise 110
  it('certificates: are read again when a link to their folder changes, and the log says so once', () => {
    const { paths, swap } = mounted(first)
    const { read, lines } = opened(paths)
    expect(read()).to.equal(textOf(first.cert))
    swap(first)
    expect(read()).to.equal(textOf(first.cert))
    expect(lines).to.deep.equal([])
    swap(second)
    for (let count = 0; count < 3; count += 1) expect(read()).to.equal(textOf(second.cert))
    expect(lines).to.have.length(1)
    expect(lines[0]).to.deep.include({ level: 'info', message: 'new certificates in use' })
    expect(lines[0]?.fields).to.deep.include({ for: 'PostgreSQL', certificate_until: '2020-01-01T00:00:00.000Z' })
  })

  // Promise 110
  it('certificates: the former ones stay in use until the new certificate and the new key are both there', () => {
    const { paths } = mounted(first)
    const { read, lines, linesOf } = opened(paths)
    expect(read()).to.equal(textOf(first.cert))
    for (const broken of ['', 'garbage', textOf(second.cert).slice(0, 200), textOf(second.cert)]) {
      writeFileSync(paths.cert, broken)
      expect(read()).to.equal(textOf(first.cert))
    }
    expect(lines).to.have.length(1)
    const [line] = linesOf('changed certificate files cannot be used, the former certificates stay in use')
    expect(line?.fields.reason).to.include(paths.cert)
    rmSync(paths.key)
    expect(read()).to.equal(textOf(first.cert))
    writeFileSync(paths.key, textOf(second.key))
    expect(read()).to.equal(textOf(second.cert))
    expect(linesOf('certificate files can be used again')).to.have.length(1)
    expect(linesOf('new certificates in use')).to.have.length(1)
  })

  it('certificates: files that have never been usable fail each connection, until they are there', () => {
    const paths = { cert: join(folder, 'later.pem'), key: join(folder, 'later.key') }
    const { read } = opened(paths)
    for (let count = 0; count < 2; count += 1)
      expect(read).to.throw(CertificateError, `the file ${paths.cert} cannot be read: ENOENT`)
    writeFileSync(paths.cert, textOf(first.cert))
    writeFileSync(paths.key, textOf(first.key))
    expect(read()).to.equal(textOf(first.cert))
  })

  it('certificates: settings name a file that cannot be used, and show nothing of it', () => {
    const settings = z.object({ CA: certificateFile, KEY: keyFile })
    const messages = (CA: string, KEY: string) =>
      settings.safeParse({ CA, KEY }).error?.issues.map(({ path, message }) => `${path}: ${message}`) ?? []
    expect(messages(ca, first.key)).to.deep.equal([])
    expect(messages(first.key, ca)).to.deep.equal([
      `CA: the file ${first.key} has no certificate in PEM form`,
      `KEY: the file ${ca} has no private key in PEM form that needs no passphrase`,
    ])
    expect(messages(folder, '/nowhere')).to.deep.equal([
      `CA: the file ${folder} cannot be read: it is not a file`,
      'KEY: the file /nowhere cannot be read: ENOENT',
    ])
    const secret = readFileSync(first.key, 'utf8')
    expect(messages(ca, secret)).to.deep.equal([
      'KEY: the file (not shown: it does not look like a path) cannot be read: ENOENT',
    ])
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    const huge = join(folder, 'huge.pem')
    writeFileSync(huge, Buffer.alloc(2_000_000))
    expect(messages(pipe, huge)).to.deep.equal([
      `CA: the file ${pipe} cannot be read: it is not a file`,
      `KEY: the file ${huge} cannot be read: it has over 1 MB`,
    ])
  })

  it('certificates: settings need a certificate together with its own key', () => {
    const names = { cert: 'CERT', key: 'KEY' }
    expect(pairFault({}, names)).to.equal(undefined)
    expect(pairFault(first, names)).to.equal(undefined)
    expect(pairFault({ cert: first.cert }, names)).to.equal('needs KEY as well')
    expect(pairFault({ key: first.key }, names)).to.equal('needs CERT as well')
    expect(pairFault({ cert: first.cert, key: second.key }, names)).to.match(/is not the private key of/)
  })
})
