import { expect } from 'chai'
import { createProgress } from '../src/progress.ts'

/** A stream that keeps what is written. */
function stream(isTTY: boolean) {
  const written: string[] = []
  const write = (text: string) => written.push(text) > 0
  return { written, stream: { isTTY, columns: 20, write } as unknown as NodeJS.WriteStream }
}

describe('createProgress', () => {
  it('progress: one line of a terminal is drawn at most every 100 ms, cut at its width, and removed', () => {
    const { written, stream: terminal } = stream(true)
    let now = 0
    const progress = createProgress(terminal, () => now)
    progress.report('1 of 9 payments')
    now = 99
    progress.report('2 of 9 payments')
    now = 100
    progress.report('3 of 9 payments, a long text')
    progress.clear()
    progress.clear()
    expect(written).to.deep.equal(['\r1 of 9 payments\u001b[K', '\r3 of 9 payments, a \u001b[K', '\r\u001b[K'])
  })

  it('progress: without a terminal it is a line every 5 seconds', () => {
    const { written, stream: file } = stream(false)
    let now = 0
    const progress = createProgress(file, () => now)
    for (; now < 10_000; now += 1_000) progress.report(`at ${now} ms`)
    progress.clear()
    expect(written).to.deep.equal(['at 5000 ms\n'])
  })
})
