import { appendFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { createLogPrinter } from '../../src/log-printer.ts'
import { createTail, emptyFiles, sandboxFiles } from '../../src/sandbox/files.ts'
import { startWatch, type Watch } from '../../src/sandbox/watch.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** No server listens there. */
const AWAY = 'postgres://127.0.0.1:1/payments'

describe('watch of a sandbox', () => {
  const folder = temporaryFolder()
  const files = sandboxFiles(folder.path)
  const lines: string[] = []
  const { log } = createLogPrinter({ write: (line) => lines.push(line), level: 'warn', labelWidth: 5 })
  let watch: Watch
  beforeEach(() => {
    emptyFiles(files)
    watch = startWatch({ files, databaseUrl: AWAY, quietSince: () => 0, log })
  })
  afterEach(() => watch.stop())
  after(() => folder.remove())

  const answer = {
    ...{ at: new Date().toISOString(), reference: 'r', idempotency_key: 'r', simulate: null, status: 201 },
    ...{ id: '019a0000-0000-7000-8000-000000000001', error: null },
  }
  const shows = (facts: object) => eventually(() => expect(watch.state()).to.include(facts))

  it('counter says since when it is old while PostgreSQL is away, and goes on counting answers', async () => {
    await shows({ accepted: 0, stale: null })
    appendFileSync(files.answers, `${JSON.stringify(answer)}\n`)
    await shows({ accepted: 1, waiting: 1, lost: 0 })
    const { as_of, stale } = watch.state()
    expect(stale).to.be.a('string')
    appendFileSync(files.answers, `${JSON.stringify({ ...answer, reference: 's' })}\n`)
    await shows({ accepted: 2, as_of })
  })

  it('counter counts lines that it cannot read', async () => {
    appendFileSync(files.charges, 'half a li\n{"key":"k"}\n')
    await shows({ unreadable: 2 })
  })

  it('counter begins again when it is asked to, and when a file gets too long', async () => {
    appendFileSync(files.charges, 'no record\n')
    await shows({ unreadable: 1 })
    watch.reset()
    await shows({ unreadable: 0 })
    const { since } = watch.state()
    truncateSync(files.charges, 64 * 1024 * 1024 + 1)
    await eventually(() => expect(statSync(files.charges).size).to.equal(0))
    expect(Date.parse(watch.state().since)).to.be.above(Date.parse(since))
    expect(lines.join()).to.contain('the counter begins again')
  })

  it('counter says so when its files are gone, and begins again when it is asked to', async () => {
    await shows({ stale: null })
    rmSync(files.folder, { recursive: true })
    await eventually(() => expect(watch.state().stale).to.contain('ENOENT'))
    watch.reset()
    await shows({ stale: null })
  })

  it('tail of a file leaves half a line for later, and begins again when the file was emptied', async () => {
    const read = createTail(files.answers)
    appendFileSync(files.answers, 'one\ntw')
    expect(await read()).to.deep.equal(['one'])
    expect(await read()).to.deep.equal([])
    appendFileSync(files.answers, 'o\n')
    expect(await read()).to.deep.equal(['two'])
    truncateSync(files.answers)
    appendFileSync(files.answers, '3\n')
    expect(await read()).to.deep.equal(['3'])
  })
})
